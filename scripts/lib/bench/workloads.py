"""What is done to every system alike? Each workload yields (metric, value); `targets.py` says what is asked of each metric."""
import os
import shutil
import sys

from data import GIT, MIB, entries
from running import Failed, run, timed

HERE = os.path.dirname(os.path.abspath(__file__))


class Workload:
    """`data`: the lower. `first`: what a system with a cache looks at beforehand ('read', 'stat' or nothing). `fresh`: the
    state is made anew for each repetition, because the run changes it. `disk`: the file system the lower is on.
    `only`: the systems it is for. `own`: driftfs, too, gets a lower of its own, which it may change. `most`: repetitions
    beyond these are not worth their time."""

    def __init__(self, data, run, first=None, fresh=False, disk='xfs', only=None, own=False, most=None):
        self.name, self.data, self.run, self.first, self.fresh = run.__name__, data, run, first, fresh
        self.disk, self.only, self.own, self.most = disk, only, own, most


def seqread(b, system, root):
    size = b.sizes.big
    yield 'seq read cold', b.work('read', root + '/big', size, MIB)
    yield 'seq read warm', min(b.work('read', root + '/big', size, MIB) for _ in range(3))
    yield 'mmap read warm', b.work('mmap', root + '/big', size)


def seqwrite(b, system, root):
    for metric, part, block, sync in (('seq write 1M blocks', 1, MIB, 0), ('seq write 4k blocks', 4, 4096, 0), ('seq write + fsync', 1, MIB, 1)):
        b.place.settle()
        yield metric, b.work('write', root + '/file', b.sizes.big // part, block, sync)
        os.unlink(root + '/file')


def random(b, system, root):
    size = b.sizes.random
    b.work('read', root + '/random', size, MIB)
    yield 'rand read 4k', b.work('random', root + '/random', 'read', 1, size)
    b.work('write', root + '/other', size, MIB, 1)
    yield 'rand write 4k', b.work('random', root + '/other', 'write', 1, size)
    os.unlink(root + '/other')


def small(b, system, root):
    os.mkdir(root + '/w')
    yield 'create+write+close', b.work('create', root + '/w', b.sizes.small, 1024)
    yield 'rename', b.work('rename', root + '/w', b.sizes.small)
    yield 'unlink (upper)', b.work('unlink', root + '/w', b.sizes.small)


def removed(b, system, root):
    yield 'unlink (lower, cold)', b.work('unlink', root, b.sizes.removed)


def stat(b, system, root):
    tree, names = root + '/tree', b.data.list_of('tree')
    yield 'stat cold', b.work('stat', tree, names, 1)
    yield 'stat warm', b.work('stat', tree, names, 5)
    yield 'ENOENT stat warm', b.work('missing', tree, 2000)
    yield 'open+read+close cold', b.work('open', tree, names, b.sizes.opened)
    yield 'open+read+close warm', b.work('open', tree, names, b.sizes.opened)


def walk(b, system, root):
    count = entries(b.sizes.tree)
    yield 'walk+stat cold', b.work('walk', root + '/tree', 'stat', count)
    yield 'walk+stat warm', b.work('walk', root + '/tree', 'stat', count)
    yield 'find warm', min(timed(['find', root + '/tree', '-name', 'nothing']) for _ in range(2))
    root = b.remount(system)
    yield 'ls -lR cold', timed(['ls', '-lRn', root + '/tree'])
    warm = timed(['ls', '-lRn', root + '/tree'])
    yield 'ls -lR warm', warm
    if system.name == 'driftfs':
        root = b.remount(system, ['-o', 'noxattr'])
        timed(['ls', '-lRn', root + '/tree'])
        warm = timed(['ls', '-lRn', root + '/tree'])
    if system.name in ('native', 'driftfs', 'fuse-overlayfs'):
        yield 'ls -lR warm, noxattr', warm


def untar(b, system, root):
    yield 'untar', timed(['tar', '-C', root, '-xf', b.data.archive()])
    got = sum(len(files) for _, _, files in os.walk(root + '/a'))
    if got != b.sizes.archive:
        raise Failed('untar left %d files of %d' % (got, b.sizes.archive))
    yield 'rm -rf', timed(['rm', '-rf', root + '/a'])


def git(b, system, root):
    if not shutil.which('git'):
        return
    status = ['git', '-C', root + '/repo', 'status', '--porcelain']
    yield 'git status lower cold', timed(status, env=GIT)
    yield 'git status lower warm', min(timed(status, env=GIT) for _ in range(3))
    yield 'git clone', timed(['git', 'clone', '-q', '--no-hardlinks', root + '/repo', root + '/clone'], env=GIT)
    status[2] = root + '/clone'
    if run(status, env=GIT):
        raise Failed('the clone is not clean')
    yield 'git status clone warm', min(timed(status, env=GIT) for _ in range(3))
    run(['rm', '-rf', root + '/clone'])


def make(b, system, root):
    yield 'make -j2', timed(['make', '-s', '-j2', '-C', root])
    for name in os.listdir(root):
        if name.endswith('.o') or name == 'prog':
            os.unlink(root + '/' + name)


def sqlite(b, system, root):
    for journal in ('DELETE', 'WAL'):
        yield 'sqlite %s FULL' % journal, float(run([sys.executable, HERE + '/rows.py', root, journal, b.sizes.rows]))


def firstwrite(b, system, root):
    yield 'first write to a big file', b.work('firstwrite', root + '/big', b.sizes.first // 2)


def memory(b, system, root):
    if not system.fuse:
        return
    count, before = entries(b.sizes.nodes), b.resident()
    b.work('walk', root + '/tree', 'stat', count)
    yield 'memory per 100k nodes', (b.resident() - before) / 1024 * 100000 / count


OVERLAYS = ('driftfs', 'overlayfs', 'fuse-overlayfs', 'unionfs-fuse')

COMMON = [
    Workload('big', seqread, first='read'),
    Workload('empty', seqwrite),
    Workload('random', random, first='read'),
    Workload('empty', small, fresh=True),
    Workload('removed', removed, first='stat', fresh=True),
    Workload('tree', stat, first='read'),
    Workload('tree', walk, first='read'),
    Workload('empty', untar, fresh=True),
    Workload('tracked', git, first='read'),
    Workload('sources', make, first='read'),
    Workload('empty', sqlite, fresh=True),
    Workload('first', firstwrite, first='read', fresh=True, disk='ext4', only=OVERLAYS, most=3),
    Workload('nodes', memory, first='stat', most=2),
]
