//! A Redis Cluster whose replica takes over without the primary's last writes: what was lost is
//! sent again, or counted to the hit; no visitor's number is given twice; counts are true.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use mayfly_store::contract::servers::RedisCluster;
use serde_json::json;

use crate::http::Browser;
use crate::ledger::{self, Ledger, Load, metric};
use crate::program::{Program, Setup};

/// A key on the primary that fails.
const A_KEY: &str = "mf:{catalog}:identity";
/// The load before, while the replica lags, and after.
const A_WHILE: Duration = Duration::from_millis(1500);
/// Longer than a collector can send again what it had acknowledged.
const TOO_LONG: Duration = Duration::from_secs(17);
/// Browsers that come at a time.
const NEW_BROWSERS: usize = 40;

/// A cluster with one lagging replica, and the program on it.
struct Lagging {
    cluster: RedisCluster,
    program: Program,
    primary: usize,
    replica: usize,
    /// Whom the browsers were taken for so far.
    visitors: BTreeSet<String>,
    browsers: usize,
    loads: Ledger,
}

impl Lagging {
    /// Starts all, runs a load, and has the replica hear of nothing from here on.
    fn start() -> Self {
        let cluster = RedisCluster::start(&[]).unwrap();
        let setup = Setup::new()
            .env("MAYFLY_STORE__URL", &cluster.url())
            .env("MAYFLY_STORE__DEADLINE_MS", "1500")
            .env("MAYFLY_WORKER__CHECKPOINT_S", "1");
        let program = setup.start();
        ledger::define(&program);
        let primary = cluster.primary_of(A_KEY).unwrap();
        let replica = cluster.replica_of(primary).unwrap();
        let (visitors, loads) = (BTreeSet::new(), Ledger::of_all_visitors(&program));
        let mut all = Self { cluster, program, primary, replica, visitors, browsers: 0, loads };
        all.load("before");
        all.new_browsers();
        all.cluster.catch_up(primary).unwrap();
        all.cluster.nodes()[replica].pause().unwrap();
        // What the primary had sent on its way would still be read by a replica that goes on.
        all.cluster.nodes()[primary].cli(["CLIENT", "KILL", "TYPE", "replica"]).unwrap();
        all
    }

    fn load(&mut self, name: &str) {
        self.loads.join(Load::run(&self.program, name, A_WHILE));
    }

    /// The primary dies, and its replica takes over with what it has.
    fn fail(&mut self) {
        let nodes = self.cluster.nodes_mut();
        nodes[self.primary].kill().unwrap();
        let replica = &nodes[self.replica];
        replica.resume().unwrap();
        replica.cli(["CLUSTER", "FAILOVER", "TAKEOVER"]).unwrap();
        // From here on it is the program's turn: every node that lives sees the cluster whole.
        for (_, node) in nodes.iter().enumerate().filter(|(at, _)| *at != self.primary) {
            self.program.until("get a whole cluster", |_| {
                let info = node.cli(["CLUSTER", "INFO"]).unwrap();
                info.contains("cluster_state:ok").then_some(())
            });
        }
    }

    /// First visits: each browser gets a number of its own.
    fn new_browsers(&mut self) {
        for _ in 0..NEW_BROWSERS {
            let mut browser = Browser::new(&self.program.http);
            let answer = browser.hit("news", "https://news.example/other/first");
            assert!(["stored", "spilled"].contains(&answer.outcome()), "{answer:?}");
            let cookie = browser.cookies.values().next().expect("the visitor's cookie").clone();
            let shown = self.program.admin().get(&format!("/api/v1/visitors/{cookie}"));
            let visitor = shown.json()["visitor"].as_str().unwrap().to_owned();
            self.browsers += 1;
            assert!(self.visitors.insert(visitor.clone()), "{visitor} was given twice");
        }
    }

    /// Erases some of them, in many partitions.
    fn erase_some(&self) -> Vec<String> {
        let some: Vec<String> = self.visitors.iter().step_by(4).cloned().collect();
        for visitor in &some {
            let answer = self.program.admin().delete(&format!("/api/v1/visitors/{visitor}"));
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        some
    }

    fn check_erased(&self, erased: &[String]) {
        for visitor in erased {
            let shown = self.program.admin().get(&format!("/api/v1/visitors/{visitor}")).json();
            assert_eq!(shown["hits"], json!([]), "{visitor} is back");
        }
    }

    /// Waits until all is calm again, and checks that every hit received has one outcome.
    fn settle(&self) {
        let program = &self.program;
        program.wait_until_ready();
        program.until("drain the spill", |p| (metric(p, "mayfly_spill_bytes") == 0).then_some(()));
        let received = self.loads.answered() + self.browsers as u64;
        assert_eq!(metric(program, "mayfly_hits_total"), received, "{:?}", self.loads.outcomes);
    }
}

#[test]
fn what_the_replica_did_not_hear_is_sent_again() {
    let mut all = Lagging::start();
    all.new_browsers();
    all.loads.join(Ledger::of_new_visitors(&all.program, 50));
    let erased = all.erase_some();
    let load = Load::start(&all.program, "lagging");
    thread::sleep(A_WHILE);
    all.fail();
    thread::sleep(A_WHILE * 2);
    all.loads.join(load.stop());
    all.program.wait_until_ready();
    all.new_browsers();
    all.load("after");
    all.settle();
    assert!(metric(&all.program, "mayfly_resent_batches_total") > 0);
    assert_eq!(metric(&all.program, "mayfly_lost_hits_total"), 0);
    all.check_erased(&erased);
    all.loads.check(&all.program);
    all.program.stop();
}

#[test]
fn what_cannot_be_sent_again_is_counted_to_the_hit() {
    let mut all = Lagging::start();
    all.load("long-ago");
    thread::sleep(TOO_LONG);
    all.load("just-now");
    all.fail();
    all.load("meanwhile");
    all.program.wait_until_ready();
    all.load("after");
    all.settle();
    let lost = metric(&all.program, "mayfly_lost_hits_total");
    assert!(lost > 0);
    assert_eq!(all.loads.send_again(&all.program), lost, "hits that were acknowledged and lost");
    all.loads.check_all(&all.program);
    all.program.stop();
}
