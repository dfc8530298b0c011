"""How is it measured? All systems in turn inside each repetition, the order turned every time, each on cold caches.

The ratio of a system is taken against the plain file system in the same repetition, and the median of those is reported:
a machine that is shared or drifts slows both sides alike."""
import json
import os
import time

import systems
from data import GIT
from running import Failed, naming, resident, run, say


class Bench:
    def __init__(self, place, data, chosen, repetitions, binary, quick, limit):
        self.place, self.data, self.sizes = place, data, data.sizes
        self.systems, self.repetitions, self.binary, self.quick, self.limit = chosen, repetitions, binary, quick, limit
        self.workload = None
        self.mount_took = 0.0
        # metric -> system -> {repetition: value}; system -> {workload: what went wrong}
        self.values, self.errors = {}, {}

    # What workloads use.

    def work(self, *words):
        return float(run([self.place.work] + list(words), self.limit))

    def command(self, *words):
        return [self.binary, '-m', self.place.mnt] + list(words)

    def resident(self):
        return resident(naming(self.place.mnt))

    def remount(self, system, options=()):
        self.umount(system)
        self.place.drop_caches()
        return self.mount(system, options)

    def umount(self, system):
        return 0.0 if system is systems.NATIVE else systems.umount(system, self.place.mnt, self.limit)

    def mount(self, system, options=()):
        """Mounts and returns the root to work in."""
        paths = self.paths(system)
        if system is systems.NATIVE:
            return paths['lower']
        self.mount_took = systems.mount(system, paths, options, self.limit)
        return paths['mnt']

    def wait_until_listed(self):
        """Waits until driftfs knows every name, which it fetches in the background."""
        until = time.monotonic() + self.limit
        while json.loads(run(self.command('--json', 'st')))['unlisted']:
            if time.monotonic() > until:
                raise Failed('the names of the lower were not all known after %d s' % self.limit)
            time.sleep(0.1)

    def paths(self, system):
        # State is always on the first file system; the lower may be on another.
        top = '%s/systems/%s/%s' % (self.place.add('xfs'), system.name, self.workload.name)
        shared = system.overlay and not self.workload.own
        lower = self.data.get(self.workload.data, self.workload.disk) if shared else top + '/lower'
        return dict(top=top, lower=lower, upper=top + '/upper', work=top + '/work', cache=top + '/cache', mnt=self.place.mnt)

    # The run.

    def go(self, workloads):
        """Yields after each repetition."""
        for turn in range(self.repetitions):
            for workload in workloads:
                if workload.most and turn >= (1 if self.quick else workload.most):
                    continue
                self.workload = workload
                chosen = [s for s in self.systems if workload.only is None or s.name in workload.only]
                at = turn * 3 % max(1, len(chosen))
                for system in chosen[at:] + chosen[:at]:
                    # What failed once would fail again, and take its time.
                    if workload.name not in self.errors.get(system.name, {}):
                        self.measure(turn, workload, system)
            yield

    def measure(self, turn, workload, system):
        got = []
        try:
            self.prepare(workload, system)
            self.place.settle()
            self.place.drop_caches()
            for metric, value in workload.run(self, system, self.mount(system)):
                got.append((metric, value))
                self.values.setdefault(metric, {}).setdefault(system.name, {})[turn] = value
        except (Failed, OSError, ValueError) as error:
            self.fail(system, workload, str(error))
        finally:
            try:
                self.umount(system)
            except (Failed, OSError) as error:
                self.fail(system, workload, str(error))
        if got:
            say('  %d %-10s %-14s %s' % (turn + 1, workload.name, system.name, '  '.join('%s %.4g' % pair for pair in got)))

    def fail(self, system, workload, error):
        self.errors.setdefault(system.name, {}).setdefault(workload.name, error)
        say('  %s, %s: FAILED: %s' % (workload.name, system.name, error))

    def prepare(self, workload, system):
        """State and, where nothing is shared, a lower of the system's own; then the first look of a system with a cache."""
        paths = self.paths(system)
        if os.path.isdir(paths['top']):
            if not workload.fresh:
                return
            run(['rm', '-rf', paths['top']], 3600)
        for name in ('upper', 'work', 'cache'):
            os.makedirs(paths[name])
        if paths['lower'].startswith(paths['top']):
            run(['cp', '-a', '--reflink=auto', self.data.get(workload.data, workload.disk), paths['lower']], 3600)
            self.refresh_index(paths['lower'])
        if system.keeps and workload.first:
            root = self.mount(system)
            try:
                run([self.place.work, 'walk', root, workload.first, 0], 7200)
                if system.name == 'driftfs':
                    self.wait_until_listed()
            finally:
                self.umount(system)

    def refresh_index(self, lower):
        """A copy has other inode numbers: git looks once, so that all begin with an index that fits."""
        if os.path.isdir(lower + '/repo'):
            run(['git', '-C', lower + '/repo', 'status', '--porcelain'], env=GIT)
