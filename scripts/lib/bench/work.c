/* The timed operations, one per run: work OPERATION ARGUMENTS... prints the seconds it took.
   Every operation checks the data it sees and exits with 1 when it is wrong: a quick wrong answer is no result. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MIB (1 << 20)
#define FILL 'w' /* every byte of the big files */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static void wrong(const char *what, long got, long want) {
  fprintf(stderr, "%s: %ld, expected %ld\n", what, got, want);
  exit(1);
}

static int must_open(const char *path, int flags) {
  int fd = open(path, flags, 0644);
  if (fd < 0) die(path);
  return fd;
}

static char *block(size_t size, int byte) {
  char *b = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
  if (!b) die("memory");
  memset(b, byte, size);
  return b;
}

static void put(int fd, const char *bytes, size_t size) {
  if (write(fd, bytes, size) != (ssize_t)size) die("write");
}

/* read FILE SIZE BLOCK */
static double do_read(char **a) {
  long want = atol(a[1]), size = atol(a[2]), total = 0;
  char *b = block(size, 0);
  double t = now();
  int fd = must_open(a[0], O_RDONLY);
  ssize_t n;
  while ((n = read(fd, b, size)) > 0) total += n;
  if (n < 0) die("read");
  close(fd);
  t = now() - t;
  if (total != want) wrong("bytes read", total, want);
  if (b[17] != FILL) wrong("byte 17", b[17], FILL);
  return t;
}

/* mmap FILE SIZE: touches every page */
static double do_mmap(char **a) {
  long size = atol(a[1]), sum = 0;
  double t = now();
  int fd = must_open(a[0], O_RDONLY);
  unsigned char *m = mmap(0, size, PROT_READ, MAP_SHARED, fd, 0);
  if (m == MAP_FAILED) die("mmap");
  for (long o = 0; o < size; o += 4096) sum += m[o];
  t = now() - t;
  if (sum != size / 4096 * FILL) wrong("sum of a mapping", sum, size / 4096 * FILL);
  return t;
}

/* write FILE SIZE BLOCK SYNC */
static double do_write(char **a) {
  size_t size = atol(a[1]), step = atol(a[2]);
  char *b = block(step, FILL);
  double t = now();
  int fd = must_open(a[0], O_RDWR | O_CREAT | O_TRUNC);
  for (size_t done = 0; done < size; done += step) put(fd, b, step);
  if (atoi(a[3]) && fsync(fd)) die("fsync");
  if (close(fd)) die("close");
  return now() - t;
}

/* random FILE read|write SECONDS SIZE: the seconds 100,000 operations of 4 KiB take */
static double do_random(char **a) {
  int writing = !strcmp(a[1], "write");
  double limit = atof(a[2]), spent;
  long blocks = atol(a[3]) / 4096, n = 0;
  char *b = block(4096, FILL);
  int fd = must_open(a[0], writing ? O_RDWR : O_RDONLY);
  unsigned long x = 88172645463325252UL;
  double t = now();
  do {
    for (int i = 0; i < 64; i++, n++) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      off_t at = x % blocks * 4096;
      if ((writing ? pwrite(fd, b, 4096, at) : pread(fd, b, 4096, at)) != 4096) die("random");
    }
    spent = now() - t;
  } while (spent < limit);
  if (b[17] != FILL) wrong("byte 17", b[17], FILL);
  return spent / n * 1e5;
}

/* firstwrite FILE OFFSET: opens, changes one byte, closes; then looks at it and its neighbour */
static double do_firstwrite(char **a) {
  long at = atol(a[1]);
  double t = now();
  int fd = must_open(a[0], O_RDWR);
  if (pwrite(fd, "X", 1, at) != 1) die("pwrite");
  if (close(fd)) die("close");
  t = now() - t;
  char b[2] = {0, 0};
  fd = must_open(a[0], O_RDONLY);
  if (pread(fd, b, 2, at) != 2 || b[0] != 'X') wrong("the byte written", b[0], 'X');
  if (b[1] != FILL) wrong("its neighbour", b[1], FILL);
  return t;
}

/* header FILE BYTES: opens and reads the beginning */
static double do_header(char **a) {
  long want = atol(a[1]);
  char *b = block(want, 0);
  double t = now();
  int fd = must_open(a[0], O_RDONLY);
  ssize_t n = pread(fd, b, want, 0);
  t = now() - t;
  if (n != want) wrong("bytes of the header", n, want);
  if (b[want - 1] != FILL) wrong("last byte of the header", b[want - 1], FILL);
  return t;
}

static void small(char *path, const char *dir, char letter, int i) {
  snprintf(path, 4096, "%s/d%d/%c%d", dir, i / 1000, letter, i);
}

/* create DIR COUNT SIZE: a thousand to a directory */
static double do_create(char **a) {
  int count = atoi(a[1]), size = atoi(a[2]);
  char path[4096], *b = block(size, 'c');
  double t = now();
  for (int i = 0; i < count; i++) {
    if (i % 1000 == 0) {
      snprintf(path, sizeof path, "%s/d%d", a[0], i / 1000);
      if (mkdir(path, 0755)) die(path);
    }
    small(path, a[0], 'f', i);
    int fd = must_open(path, O_WRONLY | O_CREAT | O_EXCL);
    put(fd, b, size);
    if (close(fd)) die(path);
  }
  return now() - t;
}

/* rename DIR COUNT: what `create` made; and, untimed, back */
static double do_rename(char **a) {
  int count = atoi(a[1]);
  char from[4096], to[4096];
  double t = now();
  for (int i = 0; i < count; i++) {
    small(from, a[0], 'f', i), small(to, a[0], 'g', i);
    if (rename(from, to)) die(from);
  }
  t = now() - t;
  for (int i = 0; i < count; i++) {
    small(from, a[0], 'f', i), small(to, a[0], 'g', i);
    if (rename(to, from)) die(to);
  }
  return t;
}

/* unlink DIR COUNT */
static double do_unlink(char **a) {
  int count = atoi(a[1]);
  char path[4096];
  double t = now();
  for (int i = 0; i < count; i++) {
    small(path, a[0], 'f', i);
    if (unlink(path)) die(path);
  }
  return now() - t;
}

static char **read_list(const char *file, int limit, int *count) {
  char line[4096], **names = calloc(limit + 1, sizeof *names);
  FILE *f = fopen(file, "r");
  if (!f) die(file);
  for (*count = 0; *count < limit && fgets(line, sizeof line, f);) {
    line[strcspn(line, "\n")] = 0;
    names[(*count)++] = strdup(line);
  }
  fclose(f);
  return names;
}

/* stat DIR LIST ROUNDS: the seconds of one round */
static double do_stat(char **a) {
  int count, rounds = atoi(a[2]);
  char **names = read_list(a[1], 10000000, &count);
  int dir = must_open(a[0], O_RDONLY | O_DIRECTORY);
  struct stat s;
  double t = now();
  for (int r = 0; r < rounds; r++)
    for (int i = 0; i < count; i++)
      if (fstatat(dir, names[i], &s, AT_SYMLINK_NOFOLLOW)) die(names[i]);
  return (now() - t) / rounds;
}

/* missing DIR COUNT: names that are not there, four rounds */
static double do_missing(char **a) {
  int count = atoi(a[1]);
  char path[4096];
  struct stat s;
  double t = now();
  for (int r = 0; r < 4; r++)
    for (int i = 0; i < count; i++) {
      snprintf(path, sizeof path, "%s/no-such-%d", a[0], i);
      if (!stat(path, &s) || errno != ENOENT) die(path);
    }
  return now() - t;
}

/* open DIR LIST COUNT: opens, reads and closes each */
static double do_open(char **a) {
  static char b[65536];
  int count;
  char **names = read_list(a[1], atoi(a[2]), &count);
  int dir = must_open(a[0], O_RDONLY | O_DIRECTORY);
  double t = now();
  for (int i = 0; i < count; i++) {
    int fd = openat(dir, names[i], O_RDONLY);
    if (fd < 0) die(names[i]);
    if (read(fd, b, sizeof b) < 0) die(names[i]);
    close(fd);
  }
  return now() - t;
}

static long seen;

static void walk(int dir, int reading) {
  static char b[MIB];
  DIR *d = fdopendir(dir);
  struct dirent *e;
  struct stat s;
  if (!d) die("fdopendir");
  while ((e = readdir(d))) {
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    seen++;
    if (fstatat(dir, e->d_name, &s, AT_SYMLINK_NOFOLLOW)) die(e->d_name);
    if (!S_ISDIR(s.st_mode) && !(reading && S_ISREG(s.st_mode))) continue;
    int fd = openat(dir, e->d_name, O_RDONLY);
    if (fd < 0) die(e->d_name);
    if (S_ISDIR(s.st_mode)) {
      walk(fd, reading);
      continue;
    }
    long total = 0, n;
    while ((n = read(fd, b, sizeof b)) > 0) total += n;
    if (n < 0) die(e->d_name);
    if (total != s.st_size) wrong(e->d_name, total, s.st_size);
    close(fd);
  }
  closedir(d);
}

/* walk DIR stat|read ENTRIES: every entry below DIR, with its attributes or its bytes; 0 entries: do not count */
static double do_walk(char **a) {
  long want = atol(a[2]);
  double t = now();
  walk(must_open(a[0], O_RDONLY | O_DIRECTORY), !strcmp(a[1], "read"));
  t = now() - t;
  if (want && seen != want) wrong("entries", seen, want);
  return t;
}

/* grow DIR FILES PER_DIRECTORY SIZES LIST: makes a tree; file N has N mod SIZES bytes; LIST gets the paths */
static double do_grow(char **a) {
  int files = atoi(a[1]), each = atoi(a[2]), sizes = atoi(a[3]);
  char path[4096], *b = block(sizes, FILL);
  FILE *list = fopen(a[4], "w");
  if (!list) die(a[4]);
  double t = now();
  for (int i = 0; i < files; i++) {
    int dir = i / each;
    if (i % (each * 10) == 0) {
      snprintf(path, sizeof path, "%s/d%d", a[0], dir / 10);
      if (mkdir(path, 0755)) die(path);
    }
    if (i % each == 0) {
      snprintf(path, sizeof path, "%s/d%d/s%d", a[0], dir / 10, dir % 10);
      if (mkdir(path, 0755)) die(path);
    }
    snprintf(path, sizeof path, "%s/d%d/s%d/file_%d.txt", a[0], dir / 10, dir % 10, i);
    int fd = must_open(path, O_WRONLY | O_CREAT | O_TRUNC);
    put(fd, b, i % sizes);
    if (close(fd)) die(path);
    fprintf(list, "%s\n", path + strlen(a[0]) + 1);
  }
  if (fclose(list)) die(a[4]);
  return now() - t;
}

static const struct {
  const char *name;
  double (*run)(char **);
  int arguments;
} operations[] = {
    {"read", do_read, 3},     {"mmap", do_mmap, 2},     {"write", do_write, 4},           {"random", do_random, 4},
    {"header", do_header, 2}, {"create", do_create, 3}, {"firstwrite", do_firstwrite, 2}, {"rename", do_rename, 2},
    {"unlink", do_unlink, 2}, {"stat", do_stat, 3},     {"missing", do_missing, 2},       {"open", do_open, 3},
    {"walk", do_walk, 3},     {"grow", do_grow, 5},
};

int main(int count, char **words) {
  for (size_t i = 0; count > 1 && i < sizeof operations / sizeof *operations; i++)
    if (!strcmp(words[1], operations[i].name) && count - 2 == operations[i].arguments) {
      printf("%.9f\n", operations[i].run(words + 2));
      return 0;
    }
  fprintf(stderr, "no such operation, or not with so many arguments\n");
  return 2;
}
