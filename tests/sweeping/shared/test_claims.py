"""Coordinators of a shared study: real trials, a real PostgreSQL that is stopped, leases that are lost."""

import threading
import time
from functools import partial

import psycopg
import pytest
from optuna.exceptions import StorageInternalError
from optuna.pruners import NopPruner
from optuna.trial import TrialState

from runback.errors import InputError
from runback.sweeping import report
from runback.sweeping.deciding.decisions import Decisions
from runback.sweeping.deciding.proposer import Proposer
from runback.sweeping.ending import Ending
from runback.sweeping.shared import leases, sharing
from runback.sweeping.shared.claims import LeaseLost, attended_trials
from runback.sweeping.shared.storage_url import StorageUrl
from runback.sweeping.shared.study_database import open_storage, study_names
from runback.sweeping.shared.study_pointer import write_pointer
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import parse
from runback.sweeping.study.attributes import ENDED
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import TrialEntry, open_study
from runback.sweeping.trials.coordinator import Coordinator
from runback.sweeping.trials.engines.local_engine import LocalEngine
from runback.sweeping.trials.events import TrialEnded, TrialReported, TrialTakenOver
from runback.sweeping.trials.failures import RETRIES, FailurePolicy
from runback.sweeping.trials.trial import Trial

LEASE = 2.0


@pytest.fixture
def part(database):
    with sharing.opened(StorageUrl.parse(database), LEASE) as part:
        yield part


@pytest.fixture(scope="module")
def engine():
    engine = LocalEngine()
    yield engine
    engine.close()


def study_of(folder, part):
    return open_study(folder, "s", searched()[1], storage=part.storage)


def searched():
    space = parse({"x": "interval(0, 1)"}, [], None)
    return space, Search.of(space, ("maximize",), {})


def coordinator(folder, part, study, engine, task, n_trials, *, stays=True):
    space, _ = searched()
    events = []

    def new_trial(proposed, previous_run_id, device):
        return Trial.of(
            partial(task, proposed.number, proposed.params),
            number=proposed.number,
            sweep="s",
            threads=1,
            parent=None,
            previous_run_id=previous_run_id,
            device=device,
            folder=folder / str(proposed.number),
        )

    proposer = Proposer({"_target_": "optuna.samplers.RandomSampler"}, space, seed=0)
    made = Coordinator(
        *(study, Decisions(study, proposer, NopPruner), engine, Budget(n_trials, None, 1)),
        *(FailurePolicy(dict(RETRIES)), new_trial, [events.append]),
        claims=part.claims(study),
        stays=stays,
    )
    return made, events


def states(study):
    return [trial.state for trial in study.get_trials(deepcopy=False)]


def test_training_goes_on_while_the_database_is_away_and_nothing_is_lost(tmp_path, postgres, part, engine):
    def train(number, params):
        for step in range(1, 31):
            time.sleep(0.1)
            (tmp_path / f"step {number} {step}").write_text(str(time.time()))
            report(step, step)
        return 1.0

    away = []

    def stop_the_server():
        while not (tmp_path / "step 0 5").exists():
            time.sleep(0.05)
        postgres.stop("immediate")
        away.append(time.time())
        time.sleep(2)
        away.append(time.time())
        postgres.start()

    study = study_of(tmp_path, part)
    made, events = coordinator(tmp_path, part, study, engine, train, 2)
    stopper = threading.Thread(target=stop_the_server)
    stopper.start()
    made.run()
    stopper.join()
    assert states(study) == [TrialState.COMPLETE] * 2
    assert [[*trial.intermediate_values] for trial in study.trials] == [[*range(1, 31)]] * 2
    trained = [float(file.read_text()) for file in tmp_path.glob("step 0 *")]
    assert [at for at in trained if away[0] < at < away[1]]
    assert len([one for one in events if isinstance(one, TrialReported)]) == 60
    assert len([one for one in events if isinstance(one, TrialEnded)]) == 2


def test_a_coordinator_ends_its_own_copy_of_a_trial_that_was_taken_over(tmp_path, postgres, part, engine):
    def train(number, params):
        (tmp_path / "trains").touch()
        for step in range(1, 1000):
            time.sleep(0.05)
            report(0.5, step)
        return 1.0

    def take_over():
        while not (tmp_path / "trains").exists():
            time.sleep(0.05)
        later = "owner = 'another', expires = now() + interval '1 hour'"
        postgres.sql(f"UPDATE runback_leases SET {later}", part.url.database)  # noqa: S608

    study = study_of(tmp_path, part)
    made, events = coordinator(tmp_path, part, study, engine, train, 1, stays=False)
    thief = threading.Thread(target=take_over)
    thief.start()
    made.run()
    thief.join()
    assert states(study) == [TrialState.RUNNING]  # the other's
    assert not engine.is_busy
    assert [type(one) for one in events if isinstance(one, TrialTakenOver | TrialEnded)] == [TrialTakenOver]


def test_the_end_of_a_trial_is_not_written_without_its_lease(tmp_path, postgres, part):
    study = study_of(tmp_path, part)
    study.ask()
    claims = part.claims(study)
    claims.take(0)
    postgres.sql("UPDATE runback_leases SET owner = 'another'", part.url.database)
    with pytest.raises(LeaseLost):
        claims.finish(0, lambda: study.tell(0, 1.0))
    assert states(study) == [TrialState.RUNNING]


def test_trials_are_taken_over_when_their_lease_is_over_by_the_databases_clock(tmp_path, database, part, engine):  # fmt: skip  # noqa: E501
    def train(number, params):
        return float(number)

    study = study_of(tmp_path, part)
    with sharing.opened(StorageUrl.parse(database), LEASE) as other:
        claims = other.claims(open_study(tmp_path, "s", searched()[1], storage=other.storage))
        study.ask()
        claims.take(0)
        study.ask()  # its coordinator died before it had a lease
        assert len(attended_trials(study)) == 1
    made, _ = coordinator(tmp_path, part, study, engine, train, 3)
    made.run()
    assert states(study) == [TrialState.COMPLETE] * 3
    assert [trial.value for trial in study.trials] == [0.0, 1.0, 2.0]


def test_the_lock_is_one_coordinators_and_what_is_done_under_it_is_done_again_when_it_is_lost(
    tmp_path, postgres, part
):
    study, tries = study_of(tmp_path, part), []
    claims = part.claims(study)

    def ask_once():
        if not study.get_trials(deepcopy=False):
            tries.append(len(tries))
            if len(tries) == 1:
                postgres.restart()
            study.ask()

    claims.exclusively(ask_once)
    assert tries == [0, 1]
    assert len(study.trials) == 1


def test_one_coordinator_writes_the_end_and_another_where_that_was_killed(tmp_path, database, part):
    study = study_of(tmp_path, part)
    with sharing.opened(StorageUrl.parse(database), LEASE) as other:
        first = other.claims(open_study(tmp_path, "s", searched()[1], storage=other.storage))
        assert first.take_ending(lambda: True)
        mine = part.claims(study)
        assert not mine.take_ending(lambda: True)
    deadline = time.monotonic() + 60
    while not mine.take_ending(lambda: True):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_trial_that_was_begun_twice_because_an_answer_was_lost_is_found_and_tried_again(
    tmp_path, part, engine
):
    study = study_of(tmp_path, part)
    study.ask()
    claims = part.claims(study)
    claims.take(0)  # as the try before did whose answer was lost: another trial is started
    assert [trial.number for trial in claims.dead(study.trials, ())] == [0]
    assert claims.dead(study.trials, (0,)) == []
    made, _ = coordinator(tmp_path, part, study, engine, lambda number, params: 1.0, 2)
    made.run()
    assert states(study) == [TrialState.COMPLETE] * 2


def test_whoever_is_told_to_stop_waits_no_more_for_a_database_that_is_away(tmp_path, postgres, part):
    study = study_of(tmp_path, part)
    claims, waits = part.claims(study), []

    def wait(seconds):
        waits.append(seconds)
        claims.give_up()

    claims.wait_by(wait)
    postgres.stop("immediate")
    try:
        with pytest.raises(StorageInternalError):
            study.set_user_attr("a", 1)
    finally:
        postgres.start()
    assert len(waits) == 1


def test_nothing_is_written_to_a_trial_that_somebody_else_runs_or_has_ended(tmp_path, postgres, part):
    study = study_of(tmp_path, part)
    study.ask()
    claims = part.claims(study)
    claims.take(0)
    entry = TrialEntry(study, study.trials[0])
    entry.writing = partial(claims.write, 0)
    entry.report(1, 0.5)
    study.tell(0, 1.0)
    with pytest.raises(LeaseLost):
        entry.note("a", 1)
    study.ask()
    claims.take(1)
    postgres.sql("UPDATE runback_leases SET owner = 'another'", part.url.database)
    deadline = time.monotonic() + 30
    while claims.is_mine(1):  # the next renewal shows it
        assert time.monotonic() < deadline
        time.sleep(0.05)
    other = TrialEntry(study, study.trials[1])
    other.writing = partial(claims.write, 1)
    for write in (partial(other.note, "a", 1), partial(other.report, 1, 0.5)):
        with pytest.raises(LeaseLost):
            write()
    assert study.trials[1].intermediate_values == {}


def test_a_lease_lost_while_a_trial_is_started_or_ended_costs_the_coordinator_nothing(
    tmp_path, postgres, part, engine
):
    study = study_of(tmp_path, part)
    made, events = coordinator(tmp_path, part, study, engine, lambda number, params: 1.0, 1, stays=False)
    exclusively = made.claims.exclusively

    def losing(call):
        done = exclusively(call)
        if isinstance(done, tuple):  # a trial that was begun
            later = "owner = 'another', expires = now() + interval '1 hour'"
            postgres.sql(f"UPDATE runback_leases SET {later}", part.url.database)  # noqa: S608
        return done

    made.claims.exclusively = losing
    made.run()
    assert states(study) == [TrialState.RUNNING]
    assert [type(one) for one in events if isinstance(one, TrialTakenOver)] == [TrialTakenOver]
    study.enqueue_trial({"x": 0.5})
    postgres.sql(
        f"INSERT INTO runback_leases SELECT study_id, 1, owner, expires, seconds FROM runback_leases",  # noqa: F541
        part.url.database,
    )
    with pytest.raises(InputError, match="trial 1 is another coordinator's"):
        made.end_trial(1)


def test_a_machine_that_slept_asks_whether_its_leases_are_its_own(tmp_path, postgres, part, monkeypatch):
    study = study_of(tmp_path, part)
    study.ask()
    claims = part.claims(study)
    claims.take(0)
    postgres.sql("UPDATE runback_leases SET owner = 'another'", part.url.database)
    slept = time.clock_gettime(leases._CLOCK) + 100
    monkeypatch.setattr(leases.time, "clock_gettime", lambda clock: slept)
    assert not claims.is_mine(0)


def test_the_end_is_written_by_its_owner_alone_and_only_garbage_goes_with_it(
    tmp_path, database, postgres, part
):
    study = study_of(tmp_path, part)
    mine = part.claims(study)
    end = Ending(study, tmp_path, mine)
    assert end.take()
    assert not end.is_anothers
    postgres.sql("UPDATE runback_leases SET owner = 'another'", part.url.database)
    time.sleep(LEASE / 2)  # so long it is believed without asking
    assert end.is_anothers
    with pytest.raises(LeaseLost):
        mine.write_end(lambda: study.set_user_attr(ENDED, True))
    mine.release_ending()
    assert postgres.sql("SELECT owner FROM runback_leases", part.url.database) == [("another",)]
    assert ENDED not in study.user_attrs


def test_a_lone_coordinator_that_is_stopped_is_the_last_and_one_beside_others_is_not(
    tmp_path, database, part
):
    study = study_of(tmp_path, part)
    end = Ending(study, tmp_path, part.claims(study))
    study.enqueue_trial({"x": 0.5})
    assert (end.is_anothers, end.goes_on("r"), end.leaves) == (True, False, False)
    with sharing.opened(StorageUrl.parse(database), LEASE) as other:
        claims = other.claims(open_study(tmp_path, "s", searched()[1], storage=other.storage))
        study.ask()
        claims.take(0)
        claims.note_run("r")
        assert (end.goes_on("r"), end.goes_on("of another store"), end.leaves) == (True, False, True)
        claims.finish(0, lambda: None)
    assert not end.goes_on("r")
    study.set_user_attr(ENDED, True)
    assert (end.goes_on("r"), end.leaves) == (False, True)


def test_studies_are_made_beside_each_other_and_opened_while_one_is_made(tmp_path, database, part):
    with (
        part.creating("a"),
        part.creating("b"),
        sharing.opened(StorageUrl.parse(database), LEASE) as other,
        psycopg.connect(**part.url.connection) as connection,
    ):
        waiting = threading.Thread(target=lambda: other.creating("a").__enter__(), daemon=True)
        waiting.start()
        deadline = time.monotonic() + 60
        while not connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    waiting.join(60)
    assert not waiting.is_alive()


def test_a_session_that_holds_a_lock_ends_with_its_machine_and_not_with_a_slow_sampler(tmp_path, part):
    study = study_of(tmp_path, part)
    names = ("tcp_keepalives_idle", "tcp_keepalives_count", "idle_session_timeout")

    def settings():
        return [part.storage.execute(f"SHOW {name}", {})[0][0] for name in names]

    assert part.claims(study).exclusively(settings) == ["10", "3", "5min"]


def test_what_a_killed_coordinator_had_is_attended_for_a_whole_lease_after_a_restart(
    tmp_path, postgres, part
):
    study = study_of(tmp_path, part)
    study.ask()
    part.heartbeat.close()
    part.claims(study).take(0)
    changes = "expires = now() - interval '1 hour', seconds = 3600"
    postgres.sql(f"UPDATE runback_leases SET {changes}", part.url.database)  # noqa: S608
    assert len(attended_trials(study)) == 1
    postgres.sql("UPDATE runback_leases SET seconds = 0", part.url.database)
    assert attended_trials(study) == set()


def test_a_folder_whose_study_is_on_another_server_begins_no_fresh_one(tmp_path, database):
    url = StorageUrl.parse(database)
    sharing.refuse_lost(tmp_path, url, "s", has_study=False)
    write_pointer(tmp_path, url)
    sharing.refuse_lost(tmp_path, url, "s", has_study=True)
    with pytest.raises(InputError, match="has no study s: give that server's address"):
        sharing.refuse_lost(tmp_path, url, "s", has_study=False)


def test_a_wrong_password_is_one_line_that_does_not_repeat_it(database, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "hunter2hunter2")
    with pytest.raises(InputError, match="PGPASSWORD") as refused:
        open_storage(StorageUrl.parse(database))
    assert "hunter2" not in str(refused.value)
    monkeypatch.delenv("PGPASSWORD")
    with pytest.raises(InputError, match="PGPASSWORD"):
        study_names(StorageUrl.parse(database))


def test_the_password_may_be_in_a_file(database, postgres, tmp_path, monkeypatch):
    file = tmp_path / "pgpass"
    file.write_text(f"127.0.0.1:{postgres.port}:*:*:{postgres.password}\n")
    file.chmod(0o600)
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", str(file))
    storage = open_storage(StorageUrl.parse(database))
    storage.engine.dispose()
    assert study_names(StorageUrl.parse(database)) == []


def test_a_database_of_mlflows_is_refused(database, postgres):
    postgres.sql("CREATE TABLE experiments (id int)", database.rpartition("/")[2])
    with pytest.raises(InputError, match="MLflow's"):
        open_storage(StorageUrl.parse(database))
