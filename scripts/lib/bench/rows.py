"""rows.py DIRECTORY JOURNAL COUNT: seconds for COUNT durable inserts into a SQLite database, one transaction each."""
import sqlite3
import sys
import time

directory, journal, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
base = sqlite3.connect('%s/rows-%s.db' % (directory, journal), isolation_level=None)
base.execute('pragma journal_mode=' + journal)
base.execute('pragma synchronous=FULL')
base.execute('create table rows(number integer primary key, text text)')
began = time.perf_counter()
for n in range(count):
    base.execute('insert into rows(text) values(?)', ('row %d ' % n + 'x' * 100,))
took = time.perf_counter() - began
if base.execute('select count(*) from rows').fetchone()[0] != count:
    sys.exit('rows are missing')
if base.execute('pragma integrity_check').fetchone()[0] != 'ok':
    sys.exit('the database is damaged')
base.close()
print('%.9f' % took)
