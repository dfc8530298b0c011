"""Which file systems are compared, and how is each mounted?"""
import os
import shutil
import subprocess
import time

from running import Failed, kill_group, naming, run

# Paths a mount command may name: lower (read only for overlays), upper, work, cache (each fresh or kept), mnt.
#   overlay: the lower stays as it is.   direct: writes go through; works on a copy of its own.
#   fuse: served by a process.           keeps: has a cache that outlives a mount, and gets a first look before it is measured.


class System:
    def __init__(self, name, argv, probe=None, package=None, overlay=False, fuse=True, keeps=False):
        self.name, self.argv, self.probe, self.package = name, argv.split(), probe, package
        self.overlay, self.fuse, self.keeps = overlay, fuse, keeps

    def installed(self):
        return self.probe is None or shutil.which(self.probe) is not None


NATIVE = System('native', '', fuse=False)

PEERS = [
    System('overlayfs', 'mount -t overlay overlay -o lowerdir={lower},upperdir={upper},workdir={work} {mnt}', overlay=True, fuse=False),
    System('fuse-overlayfs', 'fuse-overlayfs -o lowerdir={lower},upperdir={upper},workdir={work} {mnt}',
           'fuse-overlayfs', 'fuse-overlayfs', overlay=True),
    System('unionfs-fuse', 'unionfs -o cow,allow_other,use_ino,suid,dev {upper}=RW:{lower}=RO {mnt}', 'unionfs', 'unionfs-fuse', overlay=True),
    System('mergerfs', 'mergerfs -o allow_other,use_ino,cache.files=auto-full,category.create=ff {lower} {mnt}', 'mergerfs', 'mergerfs'),
    System('bindfs', 'bindfs --multithreaded {lower} {mnt}', 'bindfs', 'bindfs'),
    System('rclone', 'rclone mount {lower} {mnt} --daemon --config /dev/null --vfs-cache-mode full --cache-dir {cache} '
           '--allow-other --log-level ERROR', 'rclone', 'rclone', keeps=True),
]


def driftfs(binary):
    """Changes go up only when the measurement says so."""
    return System('driftfs', binary + ' mount --push manual --state {cache} {lower} {mnt}', overlay=True, keeps=True)


def mount(system, paths, options=(), limit=120):
    """Mounts and returns the seconds it took, until the command came back and the root answers."""
    argv = [word.format(**paths) for word in system.argv] + list(options)
    began = time.perf_counter()
    run(argv, limit)
    while not os.path.ismount(paths['mnt']):
        if time.perf_counter() - began > limit:
            raise Failed('%s did not mount within %d s' % (system.name, limit))
        time.sleep(0.005)
    os.stat(paths['mnt'])
    return time.perf_counter() - began


def umount(system, mnt, limit=120):
    """Takes the mount away and waits until its server is gone, which then holds nothing of ours any more. Returns the
    seconds until both."""
    began = time.perf_counter()
    while os.path.ismount(mnt):
        argv = [system.argv[0], 'umount', mnt] if system.name == 'driftfs' else ['umount', mnt]
        if subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=limit).returncode:
            time.sleep(0.05)
        if time.perf_counter() - began > limit:
            raise Failed('%s could not be unmounted within %d s' % (system.name, limit))
    while naming(mnt):
        if time.perf_counter() - began > limit:
            for pid in naming(mnt):
                kill_group(pid)
            raise Failed('the server of %s did not end within %d s' % (system.name, limit))
        time.sleep(0.01)
    return time.perf_counter() - began
