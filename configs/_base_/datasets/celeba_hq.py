# CelebA-HQ pictures of at least 384 pixels a side, and lists of them, one path a line:
#   data/celeba_hq/train_list.txt, val_list.txt   00001.png
#   data/celeba_hq/images/00001.png
# Crops, holes and loaders are those of Places365.
_base_ = './places365.py'

train_dataloader = dict(
    dataset=dict(
        data_root='data/celeba_hq', ann_file='train_list.txt', data_prefix=dict(img='images')
    )
)
val_dataloader = dict(
    dataset=dict(
        data_root='data/celeba_hq', ann_file='val_list.txt', data_prefix=dict(img='images')
    )
)
test_dataloader = val_dataloader
