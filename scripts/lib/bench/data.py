"""What do the systems look at? Each data set is a directory made once; a workload's lower is one of them."""
import hashlib
import io
import os
import tarfile

from running import run

MIB = 1 << 20
GIT = dict(os.environ, GIT_CONFIG_GLOBAL='/dev/null', GIT_CONFIG_SYSTEM='/dev/null', GIT_AUTHOR_NAME='bench', GIT_AUTHOR_EMAIL='b@example.org',
           GIT_COMMITTER_NAME='bench', GIT_COMMITTER_EMAIL='b@example.org', GIT_CONFIG_COUNT='3', GIT_CONFIG_KEY_0='safe.directory',
           GIT_CONFIG_VALUE_0='*', GIT_CONFIG_KEY_1='gc.auto', GIT_CONFIG_VALUE_1='0', GIT_CONFIG_KEY_2='core.fsync', GIT_CONFIG_VALUE_2='none')
PER_DIRECTORY = 100


class Sizes:
    """How much of everything; scale 1 is the size the bars are meant for."""

    def __init__(self, scale):
        def n(full, least):
            return max(least, int(full * scale))
        self.tree, self.nodes, self.many = n(50000, 500), n(100000, 1000), n(1000000, 2000)
        self.small, self.removed, self.opened = n(10000, 200), n(5000, 200), n(10000, 200)
        self.archive, self.tracked, self.sources, self.rows = n(20000, 200), n(10000, 200), min(40, n(80, 8)), min(200, n(400, 40))
        self.contact, self.moved, self.dirty = n(20000, 200), n(10000, 200), n(100000, 200)
        self.big, self.random = n(1024, 16) * MIB, n(256, 16) * MIB
        # Copying is what is avoided, so smaller files show nothing.
        self.first = 1024 * MIB if scale >= 0.05 else self.big
        self.header = n(10240, 64) * MIB


def entries(files):
    """Files and directories in a tree of `files` files."""
    low = -(-files // PER_DIRECTORY)
    return files + low + -(-low // 10)


class Data:
    def __init__(self, place, sizes):
        self.place, self.sizes, self.made, self.prints = place, sizes, {}, {}

    def get(self, name, disk):
        """The directory of a data set on a file system, made at the first call."""
        key = (name, disk)
        if key not in self.made:
            where = '%s/data/%s' % (self.place.add(disk), name)
            os.makedirs(where)
            getattr(self, 'make_' + name)(where)
            self.place.settle()
            self.made[key] = where
            self.prints[key] = fingerprint(where)
        return self.made[key]

    def changed(self):
        """Data sets that are not what they were: an overlay wrote to its lower."""
        return [key[0] for key, where in self.made.items() if fingerprint(where) != self.prints[key]]

    def list_of(self, name):
        return '%s/%s.list' % (self.place.base, name)

    def work(self, *words):
        return run([self.place.work] + list(words), 3600)

    def grow(self, where, name, files, sizes):
        os.mkdir(where + '/tree')
        self.work('grow', where + '/tree', files, PER_DIRECTORY, sizes, self.list_of(name))

    def make_empty(self, where):
        pass

    def make_tree(self, where):
        self.grow(where, 'tree', self.sizes.tree, 3000)

    def make_tenth(self, where):
        self.grow(where, 'tenth', self.sizes.tree // 10, 3000)

    def make_nodes(self, where):
        self.grow(where, 'nodes', self.sizes.nodes, 1)

    def make_many(self, where):
        self.grow(where, 'many', self.sizes.many, 1)

    def make_contact(self, where):
        self.grow(where, 'contact', self.sizes.contact, 3000)

    def make_moved(self, where):
        self.grow(where, 'moved', self.sizes.moved, 3000)

    def make_first(self, where):
        self.work('write', where + '/big', self.sizes.first, MIB, 1)

    def make_big(self, where):
        self.work('write', where + '/big', self.sizes.big, MIB, 1)

    def make_random(self, where):
        self.work('write', where + '/random', self.sizes.random, MIB, 1)

    def make_header(self, where):
        self.work('write', where + '/header', self.sizes.header, MIB, 1)

    def make_removed(self, where):
        self.work('create', where, self.sizes.removed, 512)

    def make_sources(self, where):
        """A C program of many files."""
        head = '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n'
        body = 'int f%d_%d(int x){char b[64];snprintf(b,sizeof b,"%%d",x*%d);return (int)strlen(b)+x%%7;}\n'
        files = range(self.sizes.sources)
        for i in files:
            write(where + '/m%d.c' % i, head + ''.join(body % (i, k, k + 1) for k in range(30)))
        calls = '+'.join('f%d_0(1)' % i for i in files)
        write(where + '/main.c', ''.join('int f%d_0(int);' % i for i in files) + 'int main(void){return (%s)==0;}\n' % calls)
        write(where + '/Makefile', 'SRC=$(wildcard *.c)\nprog: $(SRC:.c=.o)\n\tcc -o $@ $^\n%.o: %.c\n\tcc -O1 -c -o $@ $<\n')

    def make_tracked(self, where):
        """A git repository with one commit."""
        for i in range(self.sizes.tracked):
            directory = '%s/repo/p%d/q%d' % (where, i // 1000, i // 50 % 20)
            if i % 50 == 0:
                os.makedirs(directory, exist_ok=True)
            write('%s/f%d.txt' % (directory, i), 'line %d\n' % i * (i % 60 + 1))
        for words in ('init -q -b main', 'add -A', 'commit -q -m all', 'repack -adq'):
            run(['git', '-C', where + '/repo'] + words.split(), 900, env=GIT)

    def archive(self):
        """A tar file of small files, the same every time; beside the systems, not below one."""
        path = self.place.add('xfs') + '/archive.tar'
        if not os.path.exists(path):
            with tarfile.open(path, 'w') as tar:
                for i in range(self.sizes.archive):
                    info = tarfile.TarInfo('a/p%d/q%d/file-%d.h' % (i // 1000, i // 50 % 20, i))
                    info.size, info.mode, info.mtime = i * 7919 % 16384, 0o644, 1600000000 + i
                    tar.addfile(info, io.BytesIO(b't' * info.size))
        return path


def write(path, text):
    with open(path, 'w') as f:
        f.write(text)


def fingerprint(top):
    """Names, kinds, sizes, modes and times of everything below, and samples of large files."""
    told = hashlib.sha256()
    for directory, names, files in os.walk(top):
        names.sort()
        for name in sorted(files) + names:
            path = directory + '/' + name
            s = os.lstat(path)
            size = 0 if name in names else s.st_size
            told.update(('%s %d %o %d %d\n' % (path, size, s.st_mode, s.st_mtime_ns, s.st_nlink)).encode())
            if size > MIB:
                with open(path, 'rb') as f:
                    for at in range(0, size, 16 * MIB):
                        f.seek(at)
                        told.update(f.read(4096))
    return told.hexdigest()
