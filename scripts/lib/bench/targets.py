"""What is asked of each metric? The figures are explained in docs/performance.md."""


class Target:
    """`least`: speed relative to the plain file system, at least. `most`: the value itself, at most. `peers`: (system,
    factor): at least so many times the speed of that system; 'fuse' is the fastest FUSE peer. `over`: (metric, factor):
    at most so many times that metric's value. `unit`: of values that are no times, which have no ratio."""

    def __init__(self, metric, least=None, most=None, peers=(), over=None, unit='s', ratio=True):
        self.metric, self.least, self.most, self.peers, self.over = metric, least, most, peers, over
        self.unit, self.ratio = unit, ratio and unit == 's'


def fo(factor):
    return (('fuse-overlayfs', factor),)


TARGETS = [
    Target('seq read cold', 0.80, peers=fo(1.2)),
    Target('seq read warm', 0.85, peers=fo(2)),
    Target('mmap read warm', 0.80, peers=(('fuse', 5),)),
    Target('seq write 1M blocks', 0.65, peers=fo(5)),
    Target('seq write 4k blocks', 0.50, peers=fo(3)),
    Target('seq write + fsync', 0.70, peers=fo(2)),
    Target('rand read 4k', 0.70, peers=fo(1)),
    Target('rand write 4k', 0.40, peers=(('fuse', 4),)),
    Target('create+write+close', 0.20, peers=fo(1.1)),
    Target('rename', 0.25, peers=fo(2)),
    Target('unlink (upper)', 0.30, peers=fo(2)),
    Target('unlink (lower, cold)', 0.30, peers=fo(2)),
    Target('stat cold', 0.18, peers=fo(0.8)),
    Target('stat warm', 0.65, peers=fo(1)),
    Target('ENOENT stat warm', 0.30, peers=fo(1.1)),
    Target('open+read+close cold', 0.30, peers=fo(0.8)),
    Target('open+read+close warm', 0.06, peers=fo(0.8)),
    Target('walk+stat cold', 0.50, peers=fo(1.1)),
    Target('walk+stat warm', 0.40, peers=fo(1)),
    Target('find warm', 0.80, peers=fo(1)),
    Target('ls -lR cold', 0.18, peers=fo(0.6)),
    Target('ls -lR warm', 0.25, peers=fo(0.8)),
    Target('ls -lR warm, noxattr', 0.80, peers=fo(2)),
    Target('untar', 0.15, peers=fo(0.9)),
    Target('rm -rf', 0.25, peers=fo(1.3)),
    Target('git status lower cold', 0.30, peers=fo(0.9)),
    Target('git status lower warm', 0.40, peers=fo(1)),
    Target('git clone', 0.15, peers=fo(1)),
    Target('git status clone warm', 0.60, peers=fo(1)),
    Target('make -j2', 0.90, peers=(('overlayfs', 0.9),)),
    Target('sqlite DELETE FULL', 0.40, peers=fo(0.6)),
    Target('sqlite WAL FULL', 0.45, peers=fo(0.8)),
    Target('first write to a big file', most=0.010, peers=(('overlayfs', 100),), ratio=False),
    Target('memory per 100k nodes', most=40, unit='MiB'),
    Target('first contact (cp -r)', 0.50),
    Target('header of a large file', most=0.5, ratio=False),
    Target('header: bytes moved', most=64, unit='MiB'),
    Target('push (cp -r)'),
    Target('push (cp -r, synced)'),
    Target('pull (cp -r)'),
    Target('reconnect, nothing changed', over=('reconnect, a tenth of the tree', 3)),
    Target('reconnect, a tenth of the tree'),
    Target('plan per 100k changed', most=1, ratio=False),
    Target('many files: mount', most=2, ratio=False),
    Target('many files: walk+stat cold', 0.18),
    Target('many files: memory', unit='MiB'),
    Target('many files: unmount', most=10, ratio=False),
]
