"""What came out? One row a metric: values, ratios, bars met and missed; as a table and as JSON."""
import os
import platform
import statistics
import time

from targets import TARGETS

FUSE_PEERS = ('fuse-overlayfs', 'unionfs-fuse', 'mergerfs', 'bindfs', 'rclone')
DRIFTFS = 'driftfs'


def median_ratio(of, to):
    """How much faster `of` is than `to`: the median over the repetitions both were in."""
    both = [to[turn] / of[turn] for turn in of if turn in to and of[turn] > 0]
    return statistics.median(both) if both else None


def middle(values):
    return statistics.median(values.values()) if values else None


def rows(measured):
    """One row for each target that was measured."""
    made = []
    for target in TARGETS:
        got = measured.get(target.metric)
        if not got:
            continue
        native = got.get('native', {})
        row = {'metric': target.metric, 'unit': target.unit, 'values': {s: middle(v) for s, v in got.items()}, 'speed': {}, 'spread': {}}
        for system, values in got.items():
            ratios = sorted(native[t] / values[t] for t in values if t in native and values[t] > 0)
            if target.ratio and ratios and system != 'native':
                row['speed'][system] = statistics.median(ratios)
                row['spread'][system] = [ratios[0], ratios[-1]]
        row['bars'] = bars(target, row, got, measured)
        made.append(row)
    return made


def bars(target, row, got, measured):
    """Every bar of a row: what was asked, what came, and whether it was met."""
    ours, out = got.get(DRIFTFS), []
    if not ours:
        return out
    value = middle(ours)
    if target.least is not None and DRIFTFS in row['speed']:
        speed = row['speed'][DRIFTFS]
        out.append({'asked': '>= %.2f' % target.least, 'got': speed, 'met': speed >= target.least})
    if target.most is not None:
        out.append({'asked': '<= %g %s' % (target.most, target.unit), 'got': value, 'met': value <= target.most})
    if target.over and middle(measured.get(target.over[0], {}).get(DRIFTFS)):
        times = value / middle(measured[target.over[0]][DRIFTFS])
        out.append({'asked': '<= %g x the tenth' % target.over[1], 'got': times, 'met': times <= target.over[1]})
    for peer, factor in target.peers:
        names = FUSE_PEERS if peer == 'fuse' else (peer,)
        against = [r for r in (median_ratio(ours, got[n]) for n in names if n in got) if r is not None]
        if against:
            out.append({'asked': '%s x%g' % (peer, factor), 'got': min(against), 'met': min(against) >= factor})
    return out


def number(value):
    if value is None:
        return '-'
    return '%.0f' % value if value >= 100 else '%.3g' % value


def table(made, names, markdown=False):
    """The rows as text: seconds of the plain file system, then speeds relative to it (values where there is no ratio)."""
    others = [n for n in names if n not in ('native', DRIFTFS)]
    lines = [['workload', 'native', DRIFTFS] + others + ['bars']]
    for row in made:
        native, cells = row['values'].get('native'), []
        for name in [DRIFTFS] + others:
            if row['speed'] or 'native' in row['values']:
                cells.append('%.2f' % row['speed'][name] if name in row['speed'] else '-')
            else:
                cells.append('%s %s' % (number(row['values'][name]), row['unit']) if name in row['values'] else '-')
        told = ['%s %s%s' % (b['asked'], 'met' if b['met'] else 'MISSED', '' if b['asked'][0] == '>' else ' (%s)' % number(b['got']))
                for b in row['bars']]
        lines.append([row['metric'], '-' if native is None else '%s s' % number(native)] + cells + ['; '.join(told)])
    if markdown:
        return '\n'.join(['| ' + ' | '.join(line) + ' |' for line in [lines[0], ['---'] * len(lines[0])] + lines[1:]])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return '\n'.join('  '.join(word.ljust(w) for word, w in zip(line, widths)).rstrip() for line in lines)


def whole(bench, made, scale, changed):
    """Everything as one object."""
    return {'schema': 1, 'when': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()), 'kernel': platform.release(), 'cpus': os.cpu_count(),
            'scale': scale, 'repetitions': bench.repetitions, 'systems': [s.name for s in bench.systems], 'rows': made, 'raw': bench.values,
            'errors': bench.errors, 'lower_changed': changed, 'not_cold': bench.place.warm}


def print_report(bench, made, changed, scale, markdown):
    print('\nSpeed relative to the plain file system (1.00: as fast; higher is faster); median of %d repetitions at scale %g\n'
          % (bench.repetitions, scale))
    print(table(made, [s.name for s in bench.systems], markdown))
    missed = [(row['metric'], bar) for row in made for bar in row['bars'] if not bar['met']]
    asked = sum(len(row['bars']) for row in made)
    print('\n%d of %d bars met' % (asked - len(missed), asked))
    for metric, bar in missed:
        print('  missed: %s: %s, got %.3g' % (metric, bar['asked'], bar['got']))
    for system, errors in bench.errors.items():
        for workload, error in errors.items():
            print('  failed: %s of %s: %s' % (workload, system, error))
    for name in changed:
        print('  WRONG: the lower "%s" was changed by a file system that must not' % name)
    if bench.place.warm:
        print('  %d measurements were not cold: another mount namespace kept the file system' % bench.place.warm)
    return missed
