"""The servers that the demo and the tests bring along: real processes, killed for real."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from devtools import processes, servers
from devtools.processes import Household, wait_for
from devtools.servers import Postgres, Redis
from tests.support.servers import under

ROOT = Path(__file__).parent.parent.parent


def ask(postgres: Postgres, statement: str) -> object:
    with psycopg.connect(postgres.url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def test_a_killed_postgres_comes_back_with_its_data_on_the_same_address(household):
    postgres = Postgres(household)
    postgres.start()
    url, first = postgres.url, postgres.pid
    ask(postgres, "CREATE TABLE kept AS SELECT 7 AS number")
    with psycopg.connect(url):  # a client holds on meanwhile: its old server process must go before the new server
        os.kill(first, signal.SIGKILL)
        assert wait_for(postgres.ended, 5)
        postgres.start()

    assert postgres.url == url
    assert postgres.pid != first
    assert ask(postgres, "SELECT number FROM kept") == 7


def test_a_killed_redis_comes_back_with_its_data_where_it_is_durable(household):
    server = Redis(household, durable=True)
    server.start()
    url = server.url
    redis.Redis.from_url(url).rpush("scalepoint", "a message")
    os.kill(server.pid, signal.SIGKILL)
    assert wait_for(server.ended, 5)
    server.start()

    assert server.url == url
    assert redis.Redis.from_url(url).lrange("scalepoint", 0, -1) == [b"a message"]


def test_both_refuse_who_has_no_password(household):
    postgres, server = Postgres(household), Redis(household)
    postgres.start()
    server.start()

    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres.url.replace(postgres.password, "wrong"))
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(server.url.replace(server.password, "wrong")).ping()


def test_the_settings_are_those_of_a_durable_server_only_when_asked(household):
    quick = Postgres(household)
    quick.start()
    assert ask(quick, "SHOW fsync") == "off"
    assert ask(quick, "SHOW max_connections") == "200"
    assert ask(quick, "SHOW listen_addresses") == "127.0.0.1"
    with Household("scalepoint-test-") as other:
        durable = Postgres(other, durable=True)
        durable.start()
        assert ask(durable, "SHOW fsync") == "on"


def test_a_port_that_somebody_took_first_is_given_up_for_another(household, monkeypatch):
    taken, other = Redis(household), Redis(Household("scalepoint-test-"))
    taken.start()
    offered = iter([taken.port, processes.free_port()])
    monkeypatch.setattr(servers, "free_port", lambda: next(offered))
    with other.house:
        other.start()
        assert other.port != taken.port


def test_a_server_that_can_not_start_says_why(household, monkeypatch):
    monkeypatch.setattr(servers, "START_SECONDS", 1.0)
    server = Redis(household)
    household.folder("redis")
    monkeypatch.setattr(servers, "_redis_program", lambda: Path("/bin/false"))
    server.log.write_text("the disk is full\n")

    with pytest.raises(servers.ServiceError, match="the disk is full"):
        server.start()


@pytest.mark.parametrize("last", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_starter_is_killed(last):
    program = (
        "import sys, time\n"
        "from devtools.processes import Household\n"
        "from devtools.servers import Postgres, Redis\n"
        "house = Household('scalepoint-test-')\n"
        "for server in (Postgres(house), Redis(house)): server.start()\n"
        "print(house.path, flush=True)\n"
        "time.sleep(60)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    folder = starter.stdout.readline().strip()
    assert len(under(folder)) >= 3  # PostgreSQL, Redis, the guard
    starter.send_signal(last)
    starter.wait(10)

    assert wait_for(lambda: not under(folder) and not Path(folder).exists(), 15), under(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
class TestAsRoot:
    def test_postgres_runs_as_nobody_and_its_files_are_closed_to_others(self, household):
        postgres = Postgres(household)
        postgres.start()
        data = household.path / "postgres"
        uid = servers._account()[0]

        assert Path(f"/proc/{postgres.pid}").stat().st_uid == uid
        assert (data.stat().st_uid, data.stat().st_mode & 0o777) == (uid, 0o700)

    def test_programs_in_a_closed_folder_are_copied_where_nobody_can_read_them(self, household, monkeypatch):
        monkeypatch.setattr(servers, "open_to_all", lambda path: False)
        postgres = Postgres(household)
        postgres.start()

        assert Path(f"/proc/{postgres.pid}/exe").readlink().is_relative_to(household.path)
        assert ask(postgres, "SELECT 1") == 1
