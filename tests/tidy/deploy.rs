//! The files in `deploy/`, tried on the programs they are for. `deploy/install-test-tools.sh`
//! brings these; without them the tests fail.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use crate::tables::metrics_of_the_code;
use crate::{refuse, tree};

fn run(command: &mut Command) -> Output {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = command.env("PATH", format!("{path}:/usr/sbin:/sbin")).output();
    output.unwrap_or_else(|e| panic!("{command:?}: {e}; run deploy/install-test-tools.sh"))
}

fn must_pass(command: &mut Command) {
    let output = run(command.current_dir(tree::root()));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&said));
}

#[test]
fn prometheus_takes_the_rules_and_the_scrape() {
    must_pass(Command::new("promtool").args(["check", "rules", "deploy/alerts.yml"]));
    must_pass(Command::new("promtool").args(["check", "config", "deploy/prometheus.yml"]));
}

#[test]
fn alerts_name_metrics_that_there_are() {
    let real: BTreeSet<String> = metrics_of_the_code().into_iter().map(|(name, _)| name).collect();
    let mut faults = Vec::new();
    for (n, line) in (1..).zip(tree::read("deploy/alerts.yml").lines()) {
        for rest in line.split("mayfly_").skip(1) {
            let name: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let name = format!("mayfly_{name}");
            let base = ["_bucket", "_count", "_sum"].iter().find_map(|s| name.strip_suffix(s));
            if !real.contains(&name) && !base.is_some_and(|base| real.contains(base)) {
                faults.push(format!("deploy/alerts.yml:{n}: {name}"));
            }
        }
    }
    refuse("Metrics that Mayfly does not have:", &faults);
}

#[test]
fn nginx_takes_the_proxy_settings() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display();
    let server = tree::root().join("deploy/nginx.conf");
    let whole = format!(
        "pid {here}/pid;\nerror_log {here}/error.log;\nevents {{}}\nhttp {{\n\
         access_log off;\nclient_body_temp_path {here}/b;\nproxy_temp_path {here}/p;\n\
         fastcgi_temp_path {here}/f;\nuwsgi_temp_path {here}/u;\nscgi_temp_path {here}/s;\n\
         include {};\n}}\n",
        server.display()
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, whole).unwrap();
    must_pass(Command::new("nginx").arg("-t").arg("-c").arg(&file).arg("-p").arg(folder.path()));
}

#[test]
fn shells_read_the_scripts() {
    for source in tree::files("") {
        if source.text.starts_with("#!/usr/bin/env bash") {
            must_pass(Command::new("bash").arg("-n").arg(&source.path));
        }
    }
}
