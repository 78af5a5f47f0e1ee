//! The store does what any store must, in memory and on a file. On a file it
//! also lives through crashes, changes of shape, and readers from outside.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    pin::pin,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use contracts::Timestamp;
use embedded::store::{Database, DomainStore, Options, Statistics};
use runtime::{
    Collection, Conflict, Cursor, Direction, Filter, Index, Key, Query, Store, Version, Write,
    conformance::{self as must, COLLECTIONS, Given},
};
use rusqlite::Connection;
use serde_json::json;
use tokio::task::{JoinSet, yield_now};

macro_rules! in_memory_and_on_a_file {
    ($($rule:ident),+ $(,)?) => {
        mod in_memory {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $rule() {
                let database = super::Database::in_memory().unwrap();
                super::must::$rule(&super::given(&database)).await;
            }
        )+}

        mod on_a_file {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $rule() {
                let folder = super::Folder::new(stringify!($rule));
                let database = folder.open();
                super::must::$rule(&super::given(&database)).await;
                database.close().await.unwrap();
            }
        )+}
    };
}

runtime::store_rules!(in_memory_and_on_a_file);

fn given(database: &Database) -> Given {
    let domain = |name| database.domain(name, COLLECTIONS).unwrap();
    Given { store: domain("first"), neighbor: domain("second"), torn_reads: 0 }
}

/// A folder that is gone when its test has passed.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("store").join(test);
        let _ = fs::remove_dir_all(&folder);
        Self(folder)
    }
    fn open(&self) -> Database {
        Database::open(&self.0, Options::default()).unwrap()
    }
    fn file(&self) -> PathBuf {
        self.0.join("documents.sqlite")
    }
    fn log_length(&self) -> u64 {
        fs::metadata(self.0.join("documents.sqlite-wal")).map_or(0, |file| file.len())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn thing(id: impl Into<String>) -> Key {
    Key { collection: "things", id: id.into() }
}

fn create(id: impl Into<String>, body: &serde_json::Value) -> Vec<Write> {
    vec![Write::Create(thing(id), body.to_string())]
}

async fn commit(store: &DomainStore, writes: Vec<Write>) {
    store.commit(writes).await.unwrap().unwrap();
}

async fn version(store: &DomainStore, id: &str) -> Version {
    store.get(&thing(id)).await.unwrap().unwrap().version
}

/// All things by a field, with a condition or without.
fn by(order: &'static str, equals: &[(&'static str, &str)], tag: Option<&str>) -> Query {
    let filter = |(field, value)| Filter { field, value: json!(value) };
    Query {
        collection: "things",
        equals: equals.iter().copied().map(filter).collect(),
        contains: tag.map(|tag| filter(("tags", tag))),
        order,
        direction: Direction::Ascending,
        at_most: None,
        at_least: None,
        limit: 1000,
        after: None::<Cursor>,
    }
}

async fn ids(store: &DomainStore, query: Query) -> Vec<String> {
    let rows = store.query(&query).await.unwrap();
    rows.records.into_iter().map(|record| record.id).collect()
}

/// Queues commits while another program holds the file, so that all of them
/// wait when the writer gets to it.
async fn commit_while_the_file_is_held(
    folder: &Folder,
    options: Options,
    commits: usize,
) -> Statistics {
    let database = Database::open(&folder.0, options).unwrap();
    let store = database.domain("first", COLLECTIONS).unwrap();
    let holder = Connection::open(folder.file()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let queued = Arc::new(AtomicUsize::new(0));
    let mut committers = JoinSet::new();
    for id in 0..commits {
        let (store, queued) = (Arc::clone(&store), Arc::clone(&queued));
        committers.spawn(async move {
            // There's one thread here: nobody sees this before the commit is in the queue.
            queued.fetch_add(1, Relaxed);
            commit(&store, create(id.to_string(), &json!({}))).await;
        });
    }
    while queued.load(Relaxed) < commits {
        yield_now().await;
    }
    holder.execute_batch("ROLLBACK").unwrap();
    committers.join_all().await;
    database.statistics()
}

#[tokio::test]
async fn commits_that_wait_share_a_transaction() {
    let folder = Folder::new("commits_that_wait_share_a_transaction");
    let done = commit_while_the_file_is_held(&folder, Options::default(), 200).await;
    assert_eq!(done.commits, 200);
    // The first may have been taken before the others came.
    assert!(done.transactions <= 2, "{done:?}");
}

#[tokio::test]
async fn a_transaction_takes_as_many_commits_as_it_may() {
    let folder = Folder::new("a_transaction_takes_as_many_commits_as_it_may");
    let options = Options { group: 10, ..Options::default() };
    let done = commit_while_the_file_is_held(&folder, options, 100).await;
    assert_eq!(done.commits, 100);
    assert!((10..100).contains(&done.transactions), "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racers_on_a_file_share_transactions() {
    let folder = Folder::new("racers_on_a_file_share_transactions");
    let database = folder.open();
    let store = database.domain("first", COLLECTIONS).unwrap();
    let mut racers = JoinSet::new();
    for id in 0..200 {
        let store = Arc::clone(&store);
        racers.spawn(async move { commit(&store, create(id.to_string(), &json!({}))).await });
    }
    racers.join_all().await;
    let done = database.statistics();
    assert_eq!(done.commits, 200);
    assert!(done.transactions < done.commits, "{done:?}");
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let folder = Folder::new("everything_is_there_after_reopening");
    let database = folder.open();
    let store = database.domain("first", COLLECTIONS).unwrap();
    let body = json!({ "rank": 1, "state": "open", "tags": ["x"], "done": true });
    commit(&store, create("a", &body)).await;
    let before = store.get(&thing("a")).await.unwrap();
    drop((database, store));

    let store = folder.open().domain("first", COLLECTIONS).unwrap();
    assert_eq!(store.get(&thing("a")).await.unwrap(), before);
    for query in [
        by("rank", &[], None),
        by("done", &[], None),
        by("rank", &[("state", "open")], None),
        by("rank", &[], Some("x")),
    ] {
        assert_eq!(store.count(&query).await.unwrap(), 1);
        assert_eq!(ids(&store, query).await, ["a"]);
    }
}

#[tokio::test]
async fn what_is_noted_is_written_when_the_file_is_closed() {
    let folder = Folder::new("what_is_noted_is_written_when_the_file_is_closed");
    let database = folder.open();
    let store = database.domain("first", COLLECTIONS).unwrap();
    store.note(create("a", &json!({ "rank": 1 }))).await.unwrap().unwrap();
    assert_eq!(database.statistics().transactions, 0, "nobody waited for the disk");
    database.close().await.unwrap();
    drop((database, store));

    let store = folder.open().domain("first", COLLECTIONS).unwrap();
    assert_eq!(ids(&store, by("rank", &[], None)).await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_noted_is_written_after_a_moment_though_nobody_commits() {
    let folder = Folder::new("what_is_noted_is_written_after_a_moment_though_nobody_commits");
    let database = folder.open();
    let store = database.domain("first", COLLECTIONS).unwrap();
    for round in 1..=2 {
        store.note(create(format!("a{round}"), &json!({ "rank": 1 }))).await.unwrap().unwrap();
        store.note(create(format!("b{round}"), &json!({ "rank": 2 }))).await.unwrap().unwrap();
        while database.statistics().transactions < round {
            tokio::time::advance(Duration::from_millis(100)).await;
        }
    }
    assert_eq!(ids(&store, by("rank", &[], None)).await, ["a1", "a2", "b1", "b2"]);
    assert_eq!(database.statistics().transactions, 2);
}

#[tokio::test]
async fn of_what_is_noted_together_one_may_be_there_already() {
    let folder = Folder::new("of_what_is_noted_together_one_may_be_there_already");
    let database = folder.open();
    let store = database.domain("first", COLLECTIONS).unwrap();
    commit(&store, create("b", &json!({ "rank": 2 }))).await;
    let three = ["a", "b", "c"].map(|id| create(id, &json!({ "rank": 1 })));
    store.note(three.concat()).await.unwrap().unwrap();
    assert_eq!(store.get(&thing("b")).await.unwrap().unwrap().body, r#"{"rank":2}"#);
    let again = store.commit(create("a", &json!({ "rank": 3 }))).await.unwrap();
    assert!(again.is_err(), "it's there, so it's written now");
    assert_eq!(ids(&store, by("rank", &[], None)).await, ["a", "c", "b"]);
}

#[tokio::test(start_paused = true)]
async fn who_notes_too_much_waits_for_the_disk() {
    let folder = Folder::new("who_notes_too_much_waits_for_the_disk");
    let database = folder.open();
    let store = database.domain("first", COLLECTIONS).unwrap();
    let mut noted = 0;
    while database.statistics().transactions == 0 {
        store.note(create(noted.to_string(), &json!({}))).await.unwrap().unwrap();
        noted += 1;
        assert!(noted <= 5_000, "they would fill the memory");
    }
    assert!(noted > 1_000, "{noted}");
}

#[tokio::test]
async fn a_version_comes_never_again_after_reopening_either() {
    let folder = Folder::new("a_version_comes_never_again_after_reopening_either");
    let mut versions = Vec::new();
    for _ in 0..3 {
        let store = folder.open().domain("first", COLLECTIONS).unwrap();
        for _ in 0..3 {
            commit(&store, create("a", &json!({}))).await;
            versions.push(version(&store, "a").await.0);
            commit(&store, vec![Write::Delete(thing("a"), version(&store, "a").await)]).await;
        }
    }
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), 9);
}

const BY_RANK: &[Index] = &[Index::ascending("rank")];

const fn things(indexes: &'static [Index]) -> [Collection; 1] {
    [Collection { name: "things", indexes, expires: None }]
}

/// The names of all tables and indexes in the file of a folder.
fn listings(folder: &Folder) -> Vec<String> {
    let connection = Connection::open(folder.file()).unwrap();
    let names = "SELECT name FROM sqlite_schema WHERE name LIKE 'first/things:%' ORDER BY name";
    let mut names = connection.prepare(names).unwrap();
    names.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

const WIDER: &[Index] = &[
    Index::ascending("name"),
    Index::ascending("rank").equals(&["state"]),
    Index::ascending("rank").containing("tags"),
];

#[tokio::test]
async fn an_index_that_is_declared_later_finds_what_was_there_before() {
    let folder = Folder::new("an_index_that_is_declared_later_finds_what_was_there_before");
    let store = folder.open().domain("first", &things(BY_RANK)).unwrap();
    for (id, rank) in [("a", 2), ("b", 1)] {
        let body = json!({ "rank": rank, "name": id, "state": "open", "tags": ["x", "y"] });
        commit(&store, create(id, &body)).await;
    }
    let before = store.get(&thing("a")).await.unwrap();
    drop(store);

    let store = folder.open().domain("first", &things(WIDER)).unwrap();
    assert_eq!(store.get(&thing("a")).await.unwrap(), before);
    assert_eq!(ids(&store, by("name", &[], None)).await, ["a", "b"]);
    assert_eq!(ids(&store, by("rank", &[("state", "open")], None)).await, ["b", "a"]);
    assert_eq!(ids(&store, by("rank", &[], Some("y"))).await, ["b", "a"]);
    assert!(store.query(&by("rank", &[], None)).await.is_err());
    // What was moved can be changed as ever.
    let replaced = json!({ "rank": 0, "state": "open", "tags": ["z"] }).to_string();
    commit(&store, vec![Write::Replace(thing("a"), replaced, version(&store, "a").await)]).await;
    assert_eq!(ids(&store, by("rank", &[("state", "open")], None)).await, ["a", "b"]);
    assert_eq!(ids(&store, by("rank", &[], Some("y"))).await, ["b"]);
}

#[tokio::test]
async fn an_index_that_is_no_longer_declared_is_dropped() {
    let folder = Folder::new("an_index_that_is_no_longer_declared_is_dropped");
    let open = |indexes| folder.open().domain("first", &things(indexes)).unwrap();
    drop(open(const { &[Index::ascending("rank"), Index::ascending("rank").containing("tags")] }));
    assert_eq!(listings(&folder), ["first/things:rank", "first/things:tags[],rank"]);
    drop(open(const { &[Index::ascending("rank"), Index::descending("rank")] }));
    assert_eq!(listings(&folder), ["first/things:rank"]);
    drop(open(&[]));
    assert!(listings(&folder).is_empty());
}

#[tokio::test]
async fn an_index_that_the_documents_do_not_fit_is_refused_and_nothing_is_lost() {
    let folder = Folder::new("an_index_that_the_documents_do_not_fit_is_refused");
    let store = folder.open().domain("first", &things(&[])).unwrap();
    commit(&store, create("a", &json!({ "rank": 0.5 }))).await;
    drop(store);

    let error = folder.open().domain("first", &things(BY_RANK)).err().unwrap();
    let error = format!("{error:#}");
    assert!(error.contains("first/things: a: rank is indexed"), "{error}");
    let store = folder.open().domain("first", &things(&[])).unwrap();
    assert!(store.get(&thing("a")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_collection_that_is_no_longer_declared_keeps_its_documents() {
    let folder = Folder::new("a_collection_that_is_no_longer_declared_keeps_its_documents");
    let store = folder.open().domain("first", COLLECTIONS).unwrap();
    commit(&store, create("a", &json!({ "rank": 1 }))).await;
    drop(store);
    let store = folder.open().domain("first", &[]).unwrap();
    assert!(store.get(&thing("a")).await.is_err());
    drop(store);
    let store = folder.open().domain("first", COLLECTIONS).unwrap();
    assert_eq!(ids(&store, by("rank", &[], None)).await, ["a"]);
}

#[test]
fn a_domain_is_opened_once() {
    let database = Database::in_memory().unwrap();
    let _store = database.domain("first", COLLECTIONS).unwrap();
    let again = database.domain("first", COLLECTIONS).err().unwrap();
    assert_eq!(again.to_string(), "first is open already");
}

#[test]
fn a_declaration_that_makes_no_sense_is_refused() {
    let refused = |name, indexes| {
        let collections = [Collection { name, indexes, expires: None }];
        Database::in_memory().unwrap().domain("first", &collections).is_err()
    };
    assert!(!refused("things", BY_RANK));
    assert!(refused("no/things", &[]));
    assert!(refused("things\"", &[]));
    assert!(refused("things", const { &[Index::ascending("ra\"nk")] }));
    assert!(refused("things", const { &[Index::ascending("rank").equals(&["rank"])] }));
    assert!(refused("things", const { &[Index::ascending("rank").equals(&["state", "state"])] }));
    assert!(refused("things", const { &[Index::ascending("rank").containing("rank")] }));
    assert!(Database::in_memory().unwrap().domain("first/things", &[]).is_err());
    let twice = [things(&[]), things(&[])].concat();
    assert!(Database::in_memory().unwrap().domain("first", &twice).is_err());
}

#[test]
fn a_file_of_another_format_is_refused() {
    let folder = Folder::new("a_file_of_another_format_is_refused");
    drop(folder.open());
    let connection = Connection::open(folder.file()).unwrap();
    connection.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(connection);
    let error = Database::open(&folder.0, Options::default()).err().unwrap();
    assert!(format!("{error:#}").contains("it has format 99"), "{error:#}");
}

/// The setting by which a test tells its child what to do, and where.
const CHILD: [&str; 2] = ["AULA_STORE_CHILD", "AULA_STORE_FOLDER"];

/// Runs this program again, to be another process on the same folder.
fn start_child(task: &str, folder: &Folder) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "another_process_for_the_tests_that_need_one", "--nocapture"])
        .envs(CHILD.into_iter().zip([task, folder.0.to_str().unwrap()]))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What a child reports until it ends.
fn reports(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).filter_map(|line| Some(line.strip_prefix("report: ")?.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[expect(clippy::disallowed_methods, reason = "this is a message from a test to its child")]
async fn another_process_for_the_tests_that_need_one() {
    let Ok(task) = std::env::var(CHILD[0]) else { return };
    let folder = std::env::var(CHILD[1]).unwrap();
    let opened = Database::open(Path::new(&folder), Options::default());
    if task == "open" {
        println!("report: {}", opened.err().unwrap());
        return;
    }
    let store = opened.unwrap().domain("first", COLLECTIONS).unwrap();
    let mut committers = JoinSet::new();
    for committer in 0..8 {
        let store = Arc::clone(&store);
        committers.spawn(async move {
            // Until it's killed; if its parent is gone, printing fails.
            for rank in 0.. {
                let id = format!("{}-{committer}-{rank}", std::process::id());
                let body = json!({ "rank": rank, "tags": ["x"], "filler": "x".repeat(2000) });
                commit(&store, create(&id, &body)).await;
                println!("report: {id}");
            }
        });
    }
    committers.join_all().await;
}

#[test]
fn a_folder_has_one_user() {
    let folder = Folder::new("a_folder_has_one_user");
    let database = folder.open();
    let error = Database::open(&folder.0, Options::default()).err().unwrap();
    let name = folder.0.display();
    assert_eq!(error.to_string(), format!("{name} is in use by this process already"));

    let mut child = start_child("open", &folder);
    let reports: Vec<_> = reports(&mut child).collect();
    let holder = std::process::id();
    assert_eq!(reports, [format!("{name} is in use by another process (pid {holder})")]);
    assert!(child.wait().unwrap().success());

    drop(database);
    drop(folder.open());
}

#[tokio::test]
async fn what_was_answered_outlives_a_killed_process() {
    let folder = Folder::new("what_was_answered_outlives_a_killed_process");
    let mut answered = Vec::new();
    // The second goes on with what the first one left behind.
    for _ in 0..2 {
        let mut child = start_child("commit", &folder);
        let mut reports = reports(&mut child);
        answered.extend(reports.by_ref().take(1000));
        child.kill().unwrap();
        answered.extend(reports);
        child.wait().unwrap();
    }
    assert!(answered.len() >= 2000);

    let store = folder.open().domain("first", COLLECTIONS).unwrap();
    for id in &answered {
        assert!(store.get(&thing(id)).await.unwrap().is_some(), "{id} is lost");
    }
    // What wasn't answered may be there too, but then it's in every list.
    let all = store.scan("things").unwrap().count() as u64;
    for query in [by("rank", &[], None), by("rank", &[], Some("x"))] {
        assert_eq!(store.count(&query).await.unwrap(), all);
    }
}

#[tokio::test]
async fn a_closed_database_has_let_go_of_its_folder() {
    let folder = Folder::new("a_closed_database_has_let_go_of_its_folder");
    let database = folder.open();
    let store = database.domain("first", COLLECTIONS).unwrap();
    commit(&store, create("a", &json!({ "rank": 1 }))).await;
    database.close().await.unwrap();
    database.close().await.unwrap();
    assert!(store.get(&thing("a")).await.is_err());
    assert!(store.commit(create("b", &json!({}))).await.is_err());
    // All is in one file, without a log.
    let mut files: Vec<_> =
        fs::read_dir(&folder.0).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["documents.sqlite", "lock"]);
    let store = folder.open().domain("first", COLLECTIONS).unwrap();
    assert_eq!(ids(&store, by("rank", &[], None)).await, ["a"]);
}

/// Has a commit begun, and stops waiting for it.
async fn begin(store: &DomainStore, writes: Vec<Write>) {
    let mut commit = pin!(store.commit(writes));
    std::future::poll_fn(|context| {
        let _begun = commit.as_mut().poll(context);
        std::task::Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn what_is_queued_is_written_before_a_database_closes() {
    let folder = Folder::new("what_is_queued_is_written_before_a_database_closes");
    let holder = || {
        let holder = Connection::open(folder.file()).unwrap();
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        holder
    };
    // Once by closing it, once by dropping it.
    let database = folder.open();
    let store = database.domain("first", COLLECTIONS).unwrap();
    let held = holder();
    for id in 0..100 {
        begin(&store, create(format!("closed {id}"), &json!({ "rank": id }))).await;
    }
    drop(held);
    database.close().await.unwrap();

    let database = folder.open();
    let store = database.domain("first", COLLECTIONS).unwrap();
    let held = holder();
    for id in 0..100 {
        begin(&store, create(format!("dropped {id}"), &json!({ "rank": id }))).await;
    }
    drop(held);
    drop((database, store));

    let store = folder.open().domain("first", COLLECTIONS).unwrap();
    assert_eq!(store.count(&by("rank", &[], None)).await.unwrap(), 200);
}

const HOUR: i64 = 3600;

fn visitor(id: &str, leaves_at: Option<Timestamp>) -> Write {
    let key = Key { collection: "visitors", id: id.to_owned() };
    Write::Create(key, json!({ "leaves_at": leaves_at }).to_string())
}

fn visitors(store: &DomainStore) -> Vec<String> {
    store.scan("visitors").unwrap().map(|record| record.unwrap().id).collect()
}

#[tokio::test]
async fn what_has_expired_is_dropped_and_nothing_else() {
    let now: Timestamp = "2026-11-22T03:00:00Z".parse().unwrap();
    let store = Database::in_memory().unwrap().domain("first", COLLECTIONS).unwrap();
    let writes = vec![
        visitor("ages ago", Some(Timestamp::UNIX_EPOCH)),
        visitor("an hour ago", Some(now.plus_seconds(-HOUR))),
        visitor("in an hour", Some(now.plus_seconds(HOUR))),
        visitor("never", None),
        visitor("now", Some(now)),
    ];
    commit(&store, writes).await;
    assert_eq!(store.drop_expired(now, 1).await.unwrap(), 1);
    assert_eq!(visitors(&store), ["an hour ago", "in an hour", "never", "now"]);
    assert_eq!(store.drop_expired(now, 100).await.unwrap(), 2);
    assert_eq!(visitors(&store), ["in an hour", "never"]);
    assert_eq!(store.drop_expired(now, 100).await.unwrap(), 0);
}

#[tokio::test]
async fn thousands_that_have_expired_are_dropped_at_once() {
    let now = Timestamp::UNIX_EPOCH.plus_seconds(10_000);
    let store = Database::in_memory().unwrap().domain("first", COLLECTIONS).unwrap();
    for batch in 0..5 {
        let visitor = |at: i64| visitor(&format!("{batch} {at}"), Some(now.plus_seconds(-at)));
        commit(&store, (1..=400).map(visitor).collect()).await;
    }
    assert_eq!(store.drop_expired(now, 1_999).await.unwrap(), 1_999);
    // In the order of expiry, then of ids.
    assert_eq!(visitors(&store), ["4 1"]);
}

#[tokio::test]
async fn a_scan_gives_every_document_once_in_the_order_of_ids() {
    let store = Database::in_memory().unwrap().domain("first", COLLECTIONS).unwrap();
    assert_eq!(store.scan("things").unwrap().count(), 0);
    let ids: Vec<_> = (0..1000).map(|id| format!("{id:04}")).collect();
    for batch in ids.rchunks(300) {
        commit(&store, batch.iter().flat_map(|id| create(id, &json!({ "name": id }))).collect())
            .await;
    }
    let scanned: Vec<_> = store.scan("things").unwrap().map(Result::unwrap).collect();
    assert!(scanned.iter().map(|record| &record.id).eq(&ids));
    assert_eq!(scanned[7].version, version(&store, "0007").await);
    assert!(store.scan("unknown").is_err());
}

#[tokio::test]
async fn an_auditor_sees_one_moment_while_others_write() {
    let folder = Folder::new("an_auditor_sees_one_moment_while_others_write");
    let database = folder.open();
    let store = database.domain("first", COLLECTIONS).unwrap();
    commit(&store, create("a", &json!({ "rank": 1 }))).await;

    let audit = Database::open_read_only(&folder.0).unwrap();
    commit(&store, create("b", &json!({ "rank": 2 }))).await;
    let seen = audit.domain("first", COLLECTIONS).unwrap();
    commit(&store, vec![Write::Delete(thing("a"), version(&store, "a").await)]).await;
    assert_eq!(seen.scan("things").unwrap().count(), 1);
    assert_eq!(ids(&seen, by("rank", &[], None)).await, ["a"]);
    assert!(seen.commit(create("c", &json!({}))).await.is_err());
    assert_eq!(ids(&store, by("rank", &[], None)).await, ["b"]);
    drop((database, store));

    let audit = Database::open_read_only(&folder.0).unwrap();
    let seen = audit.domain("first", COLLECTIONS).unwrap();
    assert_eq!(ids(&seen, by("rank", &[], None)).await, ["b"]);
}

#[test]
fn an_auditor_makes_nothing_and_shapes_nothing() {
    let folder = Folder::new("an_auditor_makes_nothing_and_shapes_nothing");
    assert!(Database::open_read_only(&folder.0).is_err());
    assert!(!folder.0.exists());

    drop(folder.open().domain("first", &things(&[])).unwrap());
    let audit = Database::open_read_only(&folder.0).unwrap();
    let error = audit.domain("first", &things(BY_RANK)).err().unwrap();
    assert!(error.to_string().starts_with("first/things isn't as"), "{error}");
}

/// Commits documents of 20 MB altogether.
async fn commit_a_lot(store: &DomainStore, name: &str) {
    for id in 0..100 {
        let body = json!({ "text": "x".repeat(200_000) });
        commit(store, create(format!("{name} {id}"), &body)).await;
    }
}

#[tokio::test]
async fn the_log_stays_short() {
    let folder = Folder::new("the_log_stays_short");
    let database = folder.open();
    let store = database.domain("first", COLLECTIONS).unwrap();
    commit_a_lot(&store, "a").await;
    assert!(folder.log_length() < 10 << 20, "{} bytes", folder.log_length());
}

#[tokio::test]
async fn the_log_that_grew_during_an_audit_is_shortened_after() {
    let folder = Folder::new("the_log_that_grew_during_an_audit_is_shortened_after");
    let database = folder.open();
    let store = database.domain("first", COLLECTIONS).unwrap();
    let audit = Database::open_read_only(&folder.0).unwrap();
    commit_a_lot(&store, "during").await;
    assert!(folder.log_length() > 20_000_000, "{} bytes", folder.log_length());
    drop(audit);
    commit_a_lot(&store, "after").await;
    assert!(folder.log_length() < 10 << 20, "{} bytes", folder.log_length());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_edition_that_is_told_twice_means_that_nothing_has_changed() {
    let folder = Folder::new("an_edition_that_is_told_twice_means_that_nothing_has_changed");
    let database = folder.open();
    let store = database.domain("first", COLLECTIONS).unwrap();
    let rank = |rank: i64| json!({ "rank": rank }).to_string();
    commit(&store, vec![Write::Create(thing("a"), rank(0))]).await;

    let mut tasks = JoinSet::new();
    let seen: Arc<Mutex<BTreeMap<u64, String>>> = Arc::default();
    let done = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let (store, seen, done) = (store.clone(), seen.clone(), done.clone());
        tasks.spawn(async move {
            while done.load(Relaxed) == 0 {
                let before = store.edition("things");
                let body = store.get(&thing("a")).await.unwrap().unwrap().body;
                if let Some(edition) = before
                    && store.edition("things") == before
                {
                    let first = seen.lock().unwrap().entry(edition).or_insert(body.clone()).clone();
                    assert_eq!(first, body, "edition {edition}");
                }
                yield_now().await;
            }
        });
    }
    for number in 1..200 {
        let before = store.edition("things");
        let write = Write::Replace(thing("a"), rank(number), version(&store, "a").await);
        commit(&store, vec![write]).await;
        assert!(store.edition("things") > before);
        // A neighbor's commits, and those to other collections, are no change of this one.
        let before = store.edition("things");
        let visitor = Key { collection: "visitors", id: number.to_string() };
        commit(&store, vec![Write::Create(visitor, "{}".to_owned())]).await;
        assert_eq!(store.edition("things"), before);
    }
    done.store(1, Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert!(!seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn statistics_count_what_was_done() {
    let database = Database::in_memory().unwrap();
    let store = database.domain("first", COLLECTIONS).unwrap();
    commit(&store, vec![]).await;
    commit(&store, [create("a", &json!({ "rank": 1 })), create("b", &json!({}))].concat()).await;
    let lost = store.commit(create("a", &json!({}))).await.unwrap();
    assert_eq!(lost, Err(Conflict(thing("a"))));
    let _ = store.get(&thing("a")).await.unwrap();
    let _ = store.get(&thing("c")).await.unwrap();
    let _ = store.query(&by("rank", &[], None)).await.unwrap();
    let _ = store.count(&by("rank", &[], None)).await.unwrap();
    let expected = Statistics {
        commits: 1,
        writes: 2,
        conflicts: 1,
        failures: 0,
        transactions: 1,
        reads: 2,
        queries: 2,
        found: 1,
    };
    assert_eq!(database.statistics(), expected);
}
