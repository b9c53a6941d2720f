# CelebA-HQ as tools/dataset_converters/celeba_hq.py lists it; `data_root` may be a link:
#   data/celeba_hq/train_list.txt, val_list.txt      images/00001.png
#   data/celeba_hq/images/00001.png
# Pictures of 1024x1024 and 512x512 are cropped at 384 anywhere and resized to 256, as published;
# those of 256x256 are whole faces, taken as they are. Holes and loaders are those of Places365.
_base_ = './places365.py'

train_dataloader = dict(dataset=dict(data_root='data/celeba_hq'))
val_dataloader = dict(dataset=dict(data_root='data/celeba_hq'))
test_dataloader = val_dataloader
