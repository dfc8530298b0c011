"""What was asked for? Reads the arguments, runs the workloads in a mount namespace of its own, reports."""
import argparse
import json
import os
import resource
import shutil
import signal
import sys

import report
import systems
from data import Data, Sizes
from measuring import Bench
from own import OWN
from place import Place
from running import Failed, run, say
from workloads import COMMON

HERE = os.path.dirname(os.path.abspath(__file__))
WORKLOADS = COMMON + OWN
HELP = """\
Measures driftfs beside the plain file system and whatever of overlayfs, fuse-overlayfs, unionfs-fuse, mergerfs, bindfs and
rclone is installed, and says which bars it meets. Needs root. docs/performance.md explains it.

  scripts/bench --quick                  a few minutes
  scripts/bench --json out.json          full size; an hour or two
  scripts/bench --only stat,walk --scale 0.1 --peers fuse-overlayfs

Everything happens in images in one new directory, and is removed at the end. Results of a run are ratios: do not compare
seconds of different runs. Exit codes: 0 measured, 1 driftfs failed or a lower was changed, 2 usage, 3 with --bars: a bar was missed."""


def arguments():
    names, peers = [w.name for w in WORKLOADS], [p.name for p in systems.PEERS]
    a = argparse.ArgumentParser(prog='scripts/bench', description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--quick', action='store_true', help='a twentieth of the size, 3 repetitions (1 of what takes long), and only overlayfs and fuse-overlayfs beside')
    a.add_argument('--reps', type=int, metavar='N', help='repetitions [default: 5, quick 3]')
    a.add_argument('--only', metavar='NAMES', help='of: ' + ', '.join(names))
    a.add_argument('--scale', type=float, metavar='F', help='size of all data [default: 1, quick 0.05]')
    a.add_argument('--peers', metavar='NAMES', help='of: %s; or none [default: those installed]' % ', '.join(peers))
    a.add_argument('--install', action='store_true', help='install the peers that are missing')
    a.add_argument('--bars', action='store_true', help='exit with 3 when a bar is missed')
    a.add_argument('--json', metavar='FILE', help='write everything measured')
    a.add_argument('--markdown', action='store_true', help='print the table for a page')
    a.add_argument('--driftfs', metavar='FILE', help='the program to measure [default: a release build of this tree]')
    a.add_argument('--dir', metavar='DIR', help='where to make the images [default: $TMPDIR or /var/tmp]')
    a.add_argument('--keep', action='store_true', help='leave the files; mounts go all the same')
    asked = a.parse_args()
    asked.only = asked.only.split(',') if asked.only else names
    asked.peers = ([] if asked.peers == 'none' else asked.peers.split(',') if asked.peers
                   else ['overlayfs', 'fuse-overlayfs'] if asked.quick else peers)
    unknown = [n for n in asked.only if n not in names] + [n for n in asked.peers if n not in peers]
    if unknown:
        a.error('not known: ' + ', '.join(unknown))
    asked.scale = asked.scale or (0.05 if asked.quick else 1.0)
    asked.reps = asked.reps or (3 if asked.quick else 5)
    return asked


def choose(asked):
    chosen = [systems.NATIVE, systems.driftfs(os.path.abspath(asked.driftfs))]
    for peer in systems.PEERS:
        if peer.name in asked.peers:
            if peer.installed():
                chosen.append(peer)
            else:
                say('%s is not installed (scripts/bench --install): left out' % peer.name)
    return chosen


def own_namespace():
    """Nobody else sees our mounts or can keep them busy, and they end with us whatever happens."""
    if 'DRIFTFS_BENCH_ALONE' not in os.environ:
        os.environ['DRIFTFS_BENCH_ALONE'] = '1'
        os.execvp('unshare', ['unshare', '-m', '--propagation', 'private', sys.executable, '-B'] + sys.argv)


def save(asked, bench, made, changed):
    if asked.json:
        with open(asked.json, 'w') as f:
            json.dump(report.whole(bench, made, asked.scale, changed), f, indent=1)


def main():
    asked = arguments()
    own_namespace()
    # Servers that hold a descriptor for each file need as many as there may be.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for end in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(end, lambda *_: sys.exit(130))
    chosen = choose(asked)
    place = Place(asked.dir or os.environ.get('TMPDIR') or '/var/tmp', max(16, int(64 * asked.scale)))
    try:
        run([shutil.which('cc') or 'gcc', '-O2', '-o', place.work, HERE + '/work.c'])
        place.add('xfs')
        data = Data(place, Sizes(asked.scale))
        bench = Bench(place, data, chosen, asked.reps, os.path.abspath(asked.driftfs), asked.quick, 1800)
        for _ in bench.go([w for w in WORKLOADS if w.name in asked.only]):
            save(asked, bench, report.rows(bench.values), [])
        made, changed = report.rows(bench.values), data.changed()
    except Failed as error:
        say('could not begin: %s' % error)
        sys.exit(2)
    finally:
        for end in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(end, signal.SIG_IGN)
        place.remove(asked.keep)
    missed = report.print_report(bench, made, changed, asked.scale, asked.markdown)
    save(asked, bench, made, changed)
    if changed or 'driftfs' in bench.errors:
        sys.exit(1)
    sys.exit(3 if asked.bars and missed else 0)


if __name__ == '__main__':
    main()
