"""SQLite in every journal mode, two processes at once, in the current directory. Argument: rounds of each process."""
import os, sqlite3, subprocess, sys

MODES = ["delete", "truncate", "persist", "memory", "wal", "off"]

def work(mode, who, rounds):
    db = sqlite3.connect(mode + ".db", timeout=60, isolation_level=None)
    assert db.execute("PRAGMA journal_mode=" + mode).fetchone()[0] == mode
    for i in range(rounds):
        db.execute("BEGIN IMMEDIATE")
        total = db.execute("SELECT n FROM sum").fetchone()[0]
        db.execute("INSERT INTO t VALUES (?, ?, ?)", (who, i, os.urandom(3000)))
        db.execute("UPDATE sum SET n = ?", (total + 1,))
        # Taking back needs a journal.
        db.execute("ROLLBACK" if i % 5 == 4 and mode != "off" else "COMMIT")
    db.close()

def check(mode, expected):
    db = sqlite3.connect(mode + ".db", timeout=60)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], mode
    n = db.execute("SELECT n FROM sum").fetchone()[0]
    rows = db.execute("SELECT count(*) FROM t").fetchone()[0]
    assert n == rows == expected, (mode, n, rows, expected)
    db.close()

if len(sys.argv) > 2:
    work(sys.argv[2], sys.argv[3], int(sys.argv[1]))
    sys.exit()
rounds = int(sys.argv[1])
for mode in MODES:
    if not os.path.exists(mode + ".db"):
        db = sqlite3.connect(mode + ".db")
        db.executescript("PRAGMA journal_mode=%s; CREATE TABLE t(who, i, data); CREATE TABLE sum(n); INSERT INTO sum VALUES(0)" % mode)
        db.close()
    db = sqlite3.connect(mode + ".db")
    before = db.execute("SELECT n FROM sum").fetchone()[0]
    db.close()
    both = [subprocess.Popen([sys.executable, __file__, str(rounds), mode, who]) for who in ("a", "b")]
    assert [p.wait(120) for p in both] == [0, 0], mode
    kept = rounds if mode == "off" else rounds - rounds // 5
    check(mode, before + 2 * kept)
