"""What only driftfs does: first contact, pushing and pulling, planning, very many files. The plain file system answers with
the nearest command it has, so that there is something to compare with."""
import os

from data import MIB, entries
from running import naming, read_by, run, timed, words_of
from workloads import Workload

BOTH = ('native', 'driftfs')


def copy(b, source):
    """Seconds of `cp -r`, from cold caches."""
    target = b.place.base + '/xfs/copy'
    b.place.drop_caches()
    took = timed(['cp', '-r', source, target])
    run(['rm', '-rf', target])
    return took


def copy_synced(b, source):
    """Seconds of `cp -r` and an fsync of each file: what a push promises."""
    target = b.place.base + '/xfs/copy'
    b.place.drop_caches()
    took = timed(['sh', '-c', 'cp -r "$0" "$1" && find "$1" -type f -print0 | xargs -0 sync', source, target])
    run(['rm', '-rf', target])
    return took


def contact(b, system, root):
    files = entries(b.sizes.contact)
    yield 'first contact (cp -r)', copy(b, root + '/tree') if system.name == 'native' else b.work('walk', root + '/tree', 'read', files)


def agents(b):
    """The processes that read the lower for driftfs."""
    return [pid for pid in naming(b.place.mnt) if 'agent' in words_of(pid)]


def header(b, system, root):
    before = read_by(agents(b))
    yield 'header of a large file', b.work('header', root + '/header', 65536)
    yield 'header: bytes moved', (read_by(agents(b)) - before) / MIB


def push(b, system, root):
    source = b.data.get('moved', 'xfs') + '/tree'
    if system.name == 'native':
        yield 'push (cp -r)', copy(b, source)
        yield 'push (cp -r, synced)', copy_synced(b, source)
        return
    run(['cp', '-r', source, root + '/tree'])
    b.place.settle()
    took = timed(b.command('sync'), 3600)
    check_arrived(b, system, source)
    yield 'push (cp -r)', took
    yield 'push (cp -r, synced)', took


def check_arrived(b, system, source):
    """Every file pushed is on the lower with its bytes."""
    lower = b.paths(system)['lower'] + '/tree'
    run(['diff', '-r', '-q', source, lower], 3600)


def pull(b, system, root):
    if system.name == 'native':
        yield 'pull (cp -r)', copy(b, root + '/tree')
        return
    run(b.command('offline'))
    tree = b.paths(system)['lower'] + '/tree'
    for directory, _, files in os.walk(tree):
        for name in files:
            with open(directory + '/' + name, 'wb') as f:
                f.write(b'the server wrote this\n' * 60)
    b.place.settle()
    took = timed(b.command('online', '--wait'), 3600)
    run(['diff', '-r', '-q', tree, root + '/tree'], 3600)
    yield 'pull (cp -r)', took


def reconnect(b, system, root, metric='reconnect, nothing changed', files=None):
    if system.name == 'native':
        yield metric, b.work('walk', root + '/tree', 'stat', entries(files or b.sizes.tree))
        return
    b.work('walk', root + '/tree', 'stat', 0)
    b.wait_until_listed()
    run(b.command('offline'))
    yield metric, timed(b.command('online', '--wait'), 3600)


def reconnect_tenth(b, system, root):
    return reconnect(b, system, root, 'reconnect, a tenth of the tree', b.sizes.tree // 10)


def plan(b, system, root):
    b.work('create', root, b.sizes.dirty, 16)
    took = timed(b.command('plan', '--json'), 3600)
    yield 'plan per 100k changed', took * 100000 / b.sizes.dirty


def many(b, system, root):
    count = entries(b.sizes.many)
    if system.name == 'native':
        yield 'many files: walk+stat cold', b.work('walk', root + '/tree', 'stat', count)
        return
    yield 'many files: mount', b.mount_took
    yield 'many files: walk+stat cold', b.work('walk', root + '/tree', 'stat', count)
    yield 'many files: memory', b.resident() / 1024
    yield 'many files: unmount', b.umount(system)


OWN = [
    Workload('contact', contact, fresh=True, only=BOTH, most=3),
    Workload('header', header, fresh=True, disk='ext4', only=('driftfs',), most=3),
    Workload('empty', push, fresh=True, only=BOTH, own=True, most=3),
    Workload('moved', pull, first='read', fresh=True, only=BOTH, own=True, most=3),
    Workload('tree', reconnect, first='stat', only=BOTH, most=3),
    Workload('tenth', reconnect_tenth, first='stat', only=BOTH, most=3),
    Workload('empty', plan, fresh=True, only=('driftfs',), most=2),
    Workload('many', many, first='stat', only=BOTH, most=1),
]
