"""Two processes of one run, by gloo, as a user starts them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import ROOT, relative_error, run_tool, shrink
from recorded_run import record

from mmedit_gl.checkpoint import read_checkpoint
from mmedit_gl.engine import Runner, load_config
from mmedit_gl.evaluation import metrics_table, summarize

# As in an activated environment, where `python` and `torchrun` are found; nothing else is set.
ENV = {name: value for name, value in os.environ.items() if name != 'OMP_NUM_THREADS'}
ENV['PATH'] = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
NETWORKS = ('generator', 'disc')
ENDLESS = [
    'train_cfg.max_iters=100000',
    'train_cfg.val_interval=100000',
    'default_hooks.checkpoint.interval=100000',
]


def run_script(name: str, *args, **env) -> subprocess.CompletedProcess:
    command = [str(ROOT / 'tools' / name), *map(str, args)]
    return subprocess.run(command, env={**ENV, **env}, capture_output=True, text=True, timeout=300)


def start(log: Path, name: str, *args, **env) -> subprocess.Popen:
    """Start a script; what it prints goes to `log`."""
    command = [str(ROOT / 'tools' / name), *map(str, args)]
    with log.open('w') as file:
        return subprocess.Popen(command, env={**ENV, **env}, stdout=file, stderr=file)


def wait_for(pattern: str, log: Path, process: subprocess.Popen) -> re.Match:
    for _ in range(1200):
        if found := re.search(pattern, log.read_text()):
            return found
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    process.terminate()
    raise AssertionError(f'{pattern} is not in:\n{log.read_text()}')


def child(parent: int) -> int:
    """The process that a process started, where it is one."""
    return int(Path(f'/proc/{parent}/task/{parent}/children').read_text().split()[0])


def stand_in(folder: Path, name: str, script: str) -> dict:
    """PATH with a command of that name before all others."""
    path = folder / name
    path.write_text(f'#!/usr/bin/env bash\n{script}')
    path.chmod(0o755)
    return dict(PATH=f'{folder}{os.pathsep}{ENV["PATH"]}')


@pytest.fixture(scope='module')
def small(tmp_path_factory, data_root) -> Path:
    """The shrunk Places configuration, with five pictures to measure, at a path with a blank."""
    folder = tmp_path_factory.mktemp('two processes')
    cfg = shrink(
        load_config(ROOT / 'configs/inpainting/global_local/gl_256x256_8x12_places.py'), data_root
    )
    names = (data_root / 'places365_train_standard.txt').read_text().splitlines()
    (folder / 'five.txt').write_text('\n'.join(names[:5]))
    for mode in ('val', 'test'):
        cfg[f'{mode}_dataloader'].dataset.update(
            ann_file=str(folder / 'five.txt'), data_prefix=dict(img='data_large')
        )
    cfg.dump(folder / 'small.py')
    return folder / 'small.py'


@pytest.fixture(scope='module')
def trained(small):
    """The run of two processes that Slurm would start, and its working directory."""
    folder, work_dir = small.parent, small.parent / 'trained'
    stand_in(folder, 'scontrol', 'echo "$*" >>"$0.log"; echo localhost; echo other\n')
    srun = """printf '%s\\n' "$@" >"$0.log"
while [[ $1 == --* ]]; do shift; done
export SLURM_NTASKS=2 SLURM_NODELIST='node[1-2]'
SLURM_PROCID=1 SLURM_LOCALID=1 "$@" &
SLURM_PROCID=0 SLURM_LOCALID=0 "$@"
wait $!
"""
    env = dict(GPUS='2', CPUS_PER_TASK='1', SRUN_ARGS='--quotatype=spot --exclusive')
    env |= stand_in(folder, 'srun', srun)
    arguments = ('gpu', 'my job', small, '--work-dir', work_dir)
    return run_script('slurm_train.sh', *arguments, **env), work_dir


@pytest.fixture(scope='module')
def recorded(small):
    """Steps, one list a process, and the working directory of each run by its name.

    The model has no batch norm, and holes of one size: the loss of a batch is then the mean of its
    halves' losses. SGD, for Adam would hide gradients that are scaled.
    """
    folder = small.parent
    cfg = load_config(small)
    nets = (*cfg.model.encdec.values(), *cfg.model.disc.values())
    for net in nets:
        if isinstance(net, dict):
            net.norm_cfg = None
    for step in cfg.train_dataloader.dataset.pipeline:
        if step.type == 'LoadMask':
            step.mask_config.max_bbox_delta = 0
    # The discriminators begin with weights so small that slower they would hardly move.
    for name, lr in zip(NETWORKS, (0.1, 3)):
        cfg.optim_wrapper[name].optimizer = dict(type='SGD', lr=lr, momentum=0.9)
    cfg.default_hooks.checkpoint.interval = 1
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.randomness.diff_rank_seed = True  # which leaves what is drawn for pictures as it is
    cfg.dump(folder / 'plain.py')

    def run(name: str, **options) -> dict:
        return dict(config=str(folder / 'plain.py'), work_dir=str(folder / name), **options)

    def resumed(name: str, source: str, **options) -> dict:
        return run(name, resume=True, load_from=str(folder / source / 'iter_3.pth'), **options)

    twice = {f'optim_wrapper.{name}.accumulative_counts': 2 for name in NETWORKS}
    twice['default_hooks.checkpoint.interval'] = 2
    runs = [run('two'), resumed('one_then_two', 'one'), run('accumulating', **twice)]
    (folder / 'runs.json').write_text(json.dumps(runs))
    batch_of_both = {'train_dataloader.batch_size': 4}
    record(**run('one', **batch_of_both))
    command = ['torchrun', '--standalone', '--nproc_per_node=2', ROOT / 'tests/recorded_run.py']
    done = subprocess.run(
        [*map(str, command), str(folder / 'runs.json')],
        env={**ENV, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    record(**resumed('two_then_one', 'two', **batch_of_both))

    def read(name: str) -> tuple[list[list[dict]], Path]:
        steps = sorted((folder / name).glob('steps_*.json'))
        return [json.loads(path.read_text()) for path in steps], folder / name

    return {n: read(n) for n in ('one', 'two', 'one_then_two', 'two_then_one', 'accumulating')}


def vector(work_dir: Path, iteration: int, network: str) -> torch.Tensor:
    weights = read_checkpoint(work_dir / f'iter_{iteration}.pth')['state_dict']
    parts = [value.flatten() for name, value in weights.items() if name.startswith(network)]
    return torch.cat(parts)


@pytest.mark.parametrize(
    ('name', 'processes', 'first'),
    [('two', 2, 0), ('one_then_two', 2, 3), ('two_then_one', 1, 3)],
)
def test_two_processes_follow_one_with_the_batch_of_both(recorded, name, processes, first):
    ((expected,), one), (steps, work_dir) = recorded['one'], recorded[name]
    assert len(steps) == processes
    assert all(len(rank) == 6 - first for rank in steps)
    for i, together in enumerate(zip(*steps), start=first):
        assert sorted(path for step in together for path in step['pictures']) == sorted(
            expected[i]['pictures']
        )
        for loss, value in expected[i]['losses'].items():
            mean = sum(step['losses'][loss] for step in together) / processes
            assert mean == pytest.approx(value, rel=1e-5), (i, loss)
    for network in NETWORKS:
        begin = vector(one, 1, network)  # the generator after a step, the discriminators as made
        path = vector(one, 6, network) - begin
        assert path.norm() > 1e-3 * begin.norm()
        assert relative_error(vector(work_dir, 6, network) - begin, path) < 1e-5, network


def test_another_number_of_processes_is_refused_where_the_batch_stays(recorded, tmp_path):
    _, two = recorded['two']
    config = two.parent / 'plain.py'
    done = run_tool(
        'train.py', config, '--work-dir', 'W', '--resume', two / 'iter_3.pth', cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (
        2,
        f'error: train_dataloader.batch_size: an iteration of the run of {two}/iter_3.pth takes 4 '
        'pictures (2 processes with 2), and this one 2 (1 process with 2); set it to 4 to go on, '
        'or start a new run from its weights by --load-from\n',
    )


def test_gradients_are_reduced_once_a_step_of_their_optimizer(recorded):
    steps, work_dir = recorded['two']
    sizes = {name: len(vector(work_dir, 6, name)) for name in NETWORKS}
    generator, disc = sizes['generator'], sizes['disc']
    for rank in steps:
        assert [step['reduced'] for step in rank] == [
            *[[generator]] * 2,
            *[[disc]] * 2,
            *[[disc, generator]] * 2,
        ]
    # Of two iterations that share a step the first reduces nothing.
    for rank in recorded['accumulating'][0]:
        assert [step['reduced'] for step in rank] == [
            *([], [generator]),
            *([], [disc]),
            *([], [disc, generator]),
        ]


def test_two_processes_train_on_cpu(trained):
    done, work_dir = trained
    assert done.returncode == 0, done.stderr
    assert done.stderr == ''  # no warning of torch or mmengine
    for phase in ('generator', 'discriminator', 'joint'):
        assert done.stdout.count(f"Phase '{phase}' from iteration") == 1
    assert done.stdout.count('Saved ') == 4  # three and the best
    names = read_checkpoint(work_dir / 'iter_6.pth')['state_dict'].keys()
    assert {name.split('.')[0] for name in names} == {'generator', 'disc'}
    assert not any('module' in name for name in names)


def test_two_processes_measure_each_picture_once(small, trained, tmp_path):
    work_dir, checkpoint = trained[1], trained[1] / 'iter_6.pth'
    one, two = tmp_path / 'one', tmp_path / 'two'
    arguments = ('--work-dir', tmp_path, '--out', tmp_path / 'two.json', '--show-dir', two)
    done = run_script('dist_test.sh', small, checkpoint, 2, *arguments)
    assert (done.returncode, done.stderr) == (0, '')
    cfg = load_config(small)
    cfg.work_dir, cfg.load_from, cfg.experiment_name = str(tmp_path), str(checkpoint), 'one'
    cfg.default_hooks.completions = dict(type='CompletionsHook', out_dir=str(one), max_images=None)
    metrics = Runner.from_cfg(cfg).test()
    assert metrics['num_images'] == 5
    # To the last bit, and so did the validation of the training run.
    found = json.loads((tmp_path / 'two.json').read_text())
    assert found['summary'] == summarize([metrics])
    assert json.loads((work_dir / 'metrics.json').read_text()) == metrics
    assert done.stdout.endswith(f'{metrics_table(found["summary"], 5)}\n')
    pictures = {path.name: path.read_bytes() for path in one.iterdir()}
    assert sorted(pictures) == [f'{i:05d}_{i:08d}.png' for i in range(5)]
    assert {path.name: path.read_bytes() for path in two.iterdir()} == pictures


@pytest.fixture(scope='module')
def stopped(small):
    """A run that torchrun's SIGTERM ended: its status, output, seconds and working directory."""
    work_dir, log = small.parent / 'stopped', small.parent / 'stopped.log'
    process = start(
        log, 'dist_train.sh', small, 2, '--work-dir', work_dir, '--cfg-options', *ENDLESS
    )
    wait_for(r'Iter\(train\) \[ *5/', log, process)
    process.terminate()
    begin = time.monotonic()
    return process.wait(60), log.read_text(), time.monotonic() - begin, work_dir


def test_torchrun_starts_a_run_without_a_warning(stopped):
    started, _, _ = stopped[1].partition('Iter(train)')
    assert "Phase 'generator' from iteration 0 on" in started
    assert not re.search('Warning|WARNING|Setting OMP_NUM_THREADS', started)


def test_sigterm_to_the_script_saves_the_run(stopped):
    status, output, seconds, work_dir = stopped
    assert status != 0
    assert seconds < 40
    (checkpoint,) = work_dir.glob('*.pth')
    assert output.count(f'Saved {checkpoint}\n') == 1
    assert output.count('Stopped by SIGTERM; go on by --resume') == 1


@pytest.fixture(scope='module')
def killed(small, stopped):
    """The same run, gone on with in two nodes of a process each, the first of which was killed."""
    *_, work_dir = stopped
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    logs = [small.parent / f'node_{rank}.log' for rank in range(2)]
    arguments = (small, 1, '--work-dir', work_dir, '--resume', '--cfg-options', *ENDLESS)
    meet = dict(NNODES='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    nodes = [
        start(log, 'dist_train.sh', *arguments, NODE_RANK=str(rank), **meet)
        for rank, log in enumerate(logs)
    ]
    first = wait_for(r'Iter\(train\) \[ *(\d+)/', logs[0], nodes[0])
    os.kill(child(nodes[0].pid), signal.SIGKILL)
    begin = time.monotonic()
    statuses = [node.wait(120) for node in nodes]
    return int(first[1]), statuses, [log.read_text() for log in logs], time.monotonic() - begin


def test_two_nodes_go_on_with_the_run_of_one(stopped, killed):
    (checkpoint,) = stopped[-1].glob('*.pth')
    assert f'iter_{killed[0] - 1}.pth' == checkpoint.name


def test_the_death_of_a_process_ends_the_run_with_a_sentence(killed):
    _, statuses, outputs, seconds = killed
    assert 0 not in statuses
    assert seconds < 60
    sentence = 'error: another process of the run ended or cannot be reached: begin again; a '
    assert outputs[1].count(f'{sentence}training goes on by --resume\n') == 1
    for output in outputs:
        # torchrun has a traceback of its own, and its files may lie in the clone too.
        assert not re.search(f'File "{ROOT}/(mmedit_gl|tools)', output)


def test_slurm_starts_the_processes_of_a_run(trained):
    folder = trained[1].parent
    asked = (folder / 'srun.log').read_text().splitlines()
    assert asked[: asked.index('python')] == [
        '--partition=gpu',
        '--job-name=my job',
        '--gres=gpu:2',
        '--ntasks=2',
        '--ntasks-per-node=2',
        '--cpus-per-task=1',
        '--kill-on-bad-exit=1',
        '--quotatype=spot',
        '--exclusive',
    ]
    assert (folder / 'scontrol.log').read_text() == 'show hostnames node[1-2]\n' * 2


@pytest.mark.parametrize(
    ('env', 'expected'),
    [
        ({}, '--standalone'),
        (
            dict(MASTER_PORT='1234'),
            '--nnodes 1 --node_rank 0 --master_addr 127.0.0.1 --master_port 1234',
        ),
        (
            dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='first'),
            '--nnodes 2 --node_rank 1 --master_addr first --master_port 29500',
        ),
    ],
)
def test_processes_meet_where_the_environment_says_and_share_the_cores(tmp_path, env, expected):
    env |= stand_in(tmp_path, 'torchrun', 'echo "$OMP_NUM_THREADS $*"\n')
    done = run_script('dist_train.sh', 'c.py', 2, '--amp', **env)
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    script = f'--nproc_per_node 2 {ROOT}/tools/train.py c.py --amp --launcher pytorch'
    assert done.stdout == f'{threads} {expected} {script}\n'
    assert run_script('dist_train.sh', 'c.py', 2, **env, OMP_NUM_THREADS='3').stdout[:2] == '3 '


@pytest.mark.parametrize(
    ('script', 'arguments', 'usage'),
    [
        ('dist_train.sh', ['c.py'], 'CONFIG NUM_PROCESSES [train.py arguments]'),
        ('dist_train.sh', ['c.py', '--amp'], 'CONFIG NUM_PROCESSES [train.py arguments]'),
        ('dist_test.sh', ['c.py', '2'], 'CONFIG CHECKPOINT NUM_PROCESSES [test.py arguments]'),
        ('slurm_train.sh', ['gpu', 'job'], 'PARTITION JOB_NAME CONFIG [train.py arguments]'),
    ],
)
def test_missing_arguments_of_a_script_give_its_usage(script, arguments, usage):
    done = run_script(script, *arguments)
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr.startswith('usage: ')
    assert done.stderr.endswith(f'{ROOT}/tools/{script} {usage}\n')


def test_several_nodes_need_the_address_of_the_first():
    done = run_script('dist_train.sh', 'c.py', 2, NNODES='2')
    assert (done.returncode, done.stderr.count('\n')) == (2, 1)
    assert 'needs MASTER_ADDR' in done.stderr
