"""Where does it all happen? File systems of our own in images, caches that can be dropped, and nothing left at the end."""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import time

from running import Failed, kill_group, naming, run, say

MAKE = {'xfs': ['mkfs.xfs', '-q', '-m', 'reflink=1'], 'ext4': ['mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0']}


def mounts_below(path):
    """Mount points at or below `path`, the latest first."""
    found = []
    with open('/proc/self/mountinfo') as table:
        for line in table:
            point = re.sub(r'\\(\d{3})', lambda code: chr(int(code.group(1), 8)), line.split()[4])
            if point == path or point.startswith(path + '/'):
                found.append(point)
    return found[::-1]


def clear_leftovers(parent):
    """Removes what a run left that was killed: its mounts ended with it, its loop devices and files did not."""
    for left in glob.glob(parent + '/driftfs-bench.*'):
        try:
            with open(left + '/pid') as f:
                pid = f.read()
        except OSError:
            continue
        if pid and not os.path.exists('/proc/' + pid):
            for image in glob.glob(left + '/*.img'):
                for line in run(['losetup', '-j', image]).splitlines():
                    run(['losetup', '-d', line.split(':')[0]], good=(0, 1))
            shutil.rmtree(left, ignore_errors=True)


class Place:
    """One directory with an image per file system, mounted through a loop device with direct I/O, so that an image is
    not cached a second time."""

    def __init__(self, parent, gib):
        clear_leftovers(parent)
        self.base = tempfile.mkdtemp(prefix='driftfs-bench.', dir=parent)
        with open(self.base + '/pid', 'w') as f:
            f.write(str(os.getpid()))
        self.gib = gib
        self.devices = {}
        self.warm = 0
        self.mnt = self.base + '/mnt'
        self.work = self.base + '/work'
        os.mkdir(self.mnt)

    def add(self, kind):
        """Makes the file system `kind`, unless it is there; returns its directory."""
        where = '%s/%s' % (self.base, kind)
        if kind in self.devices:
            return where
        image = where + '.img'
        with open(image, 'wb') as f:
            f.truncate(self.gib << 30)
        run(MAKE[kind] + [image])
        os.mkdir(where)
        self.devices[kind] = run(['losetup', '--direct-io=on', '-f', '--show', image]).strip()
        run(['mount', '-o', 'noatime', self.devices[kind], where])
        return where

    def settle(self):
        """Writes out what earlier work left, so that no later work pays for it."""
        for kind in self.devices:
            run(['sync', '-f', '%s/%s' % (self.base, kind)])

    def drop_caches(self):
        """Unmounts our file systems and mounts them again: nothing of them stays in memory, and nobody else is disturbed."""
        for kind, device in self.devices.items():
            where = '%s/%s' % (self.base, kind)
            for tries in range(200):
                if subprocess.run(['umount', where], capture_output=True).returncode == 0:
                    break
                time.sleep(0.05)
            else:
                raise Failed('%s stays busy' % where)
            self._wait_until_gone(kind, device)
            run(['mount', '-o', 'noatime', device, where])

    def _wait_until_gone(self, kind, device):
        """Somebody who copied our mount namespace would keep the file system, and its caches, alive."""
        super_block = '/sys/fs/%s/%s' % (kind, os.path.basename(device))
        for tries in range(60):
            if not os.path.exists(super_block):
                return
            time.sleep(0.05)
        self.warm += 1

    def remove(self, keep):
        """Ends every process and mount of ours, then removes the files."""
        for tries in range(30):
            left = mounts_below(self.base)
            if not left:
                break
            for point in left:
                if subprocess.run(['umount', point], capture_output=True).returncode and tries > 15:
                    subprocess.run(['umount', '-l', point], capture_output=True)
            if tries == 10:
                for pid in naming(self.base):
                    kill_group(pid)
            time.sleep(0.1)
        for device in self.devices.values():
            subprocess.run(['losetup', '-d', device], capture_output=True)
        if keep:
            say('kept: ' + self.base)
        elif not mounts_below(self.base):
            shutil.rmtree(self.base, ignore_errors=True)
