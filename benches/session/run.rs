//! Processes: who runs when, and what came of it.

use std::{
    env,
    error::Error,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::{
    contend::{self, Terms},
    options::Options,
    peers::Peer,
    picture,
    report::{self, Bar, Contender, Role, Row},
    scenarios::{SCENARIOS, Scenario, bars, bars_against},
    server::{self, Heartbeat},
};

/// This program is the server and our contenders, too, when it is told so by its first argument.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", interval, timeout, ref tls @ ..] => {
            let millis = |millis: &str| millis.parse().map(Duration::from_millis);
            Ok(server::run(Heartbeat { interval: millis(interval)?, timeout: millis(timeout)? }, tls == ["tls"])?)
        }
        ["contend", contender, scenario, ref terms @ ..] => {
            let contender = contend::Contender::ALL.into_iter().find(|known| known.name() == contender);
            let outcome = contend::run(contender.ok_or("no such contender")?, scenario, &Terms::parse(terms)?)?;
            println!("{}", outcome.ok_or(NOT_THERE)?.to_json());
            Ok(())
        }
        _ => compare(&Options::from_args()?),
    }
}

/// Measures, and tells.
fn compare(options: &Options) -> Result<(), Box<dyn Error>> {
    let runners = runners(options)?;
    let mut rows = Vec::new();
    for scenario in SCENARIOS {
        let chosen = |row: &Row| options.only.as_ref().is_none_or(|only| row.scenario.contains(only.as_str()));
        if scenario.rows().iter().any(chosen) {
            rows.extend(measure(scenario, &runners, options)?);
        }
    }
    let contenders: Vec<_> = runners.into_iter().map(|runner| runner.contender).collect();
    println!("{}", report::table(&rows, &contenders));
    println!("{}", machine());

    let was_measured = |bar: &Bar| rows.iter().any(|row| row.scenario == bar.scenario);
    let mut bars: Vec<_> = bars().into_iter().filter(was_measured).collect();
    // Another client may be left out, and may fail.
    let has_run = |bar: &Bar| {
        let compared = |row: &Row| row.scenario == bar.scenario && row.ratio(bar.contender, &bar.against).is_some();
        rows.iter().any(compared)
    };
    bars.extend(Peer::ALL.into_iter().flat_map(bars_against).filter(has_run));
    let missed = report::check(&rows, &bars);
    missed.iter().for_each(|missed| println!("missed: {missed}"));
    if options.is_whole() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/session.svg");
        picture::draw(&path, "Sessions over loopback", &rows, &contenders, &machine())?;
    }
    if options.check && !missed.is_empty() { Err("a bar is missed".into()) } else { Ok(()) }
}

/// One scenario: all contenders in turn, round after round; in every other one the last goes first, since what is left
/// of one run (connections in the kernel's tables) weighs on those after it.
fn measure(scenario: &Scenario, runners: &[Runner], options: &Options) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = scenario.rows();
    let mut turns: Vec<_> = runners.iter().collect();
    for _ in 0..options.rounds {
        turns.reverse();
        for runner in &turns {
            let told = match runner.run(scenario, options)? {
                Ok(told) => told,
                Err(reason) if reason.contains(NOT_THERE) => continue, // which is no failure
                Err(reason) => {
                    eprintln!("{}, {}: {reason}", scenario.name, runner.contender.name);
                    Value::Null
                }
            };
            for (row, sample) in rows.iter_mut().zip(scenario.samples(&told)) {
                row.record(&runner.contender.name, sample);
            }
        }
    }
    Ok(rows)
}

/// A contender, and what is to be called.
struct Runner {
    contender: Contender,
    command: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
}

fn runners(options: &Options) -> Result<Vec<Runner>, Box<dyn Error>> {
    let mut runners = Vec::new();
    for contender in contend::Contender::ALL {
        let role = match contender {
            contend::Contender::Client | contend::Contender::ClientSpawned => Role::Ours,
            contend::Contender::Floor => Role::Floor,
            _ => Role::Peer, // there to be looked at, as others are
        };
        let command = vec![env::current_exe()?.into(), "contend".into(), contender.name().into()];
        runners.push(Runner {
            contender: Contender { name: contender.name().to_owned(), role },
            command,
            envs: Vec::new(),
        });
    }
    for peer in Peer::ALL.into_iter().filter(|_| options.peers) {
        match peer.prepare() {
            Ok(command) => {
                let words = [command.get_program()].into_iter().chain(command.get_args());
                runners.push(Runner {
                    contender: Contender { name: peer.name(), role: Role::Peer },
                    command: words.map(OsString::from).collect(),
                    envs: command.get_envs().filter_map(|(name, value)| Some((name.into(), value?.into()))).collect(),
                });
            }
            Err(reason) => eprintln!("left out: {reason}"),
        }
    }
    Ok(runners)
}

impl Runner {
    /// Runs a scenario against a server of its own; gives what it printed, or why it failed.
    fn run(&self, scenario: &Scenario, options: &Options) -> Result<Result<Value, String>, Box<dyn Error>> {
        let is_idle = scenario.name.starts_with("idle");
        let mut server = Server::start(is_idle, scenario.has_tls())?;
        let time = if is_idle && !options.quick { Duration::from_secs(6) } else { options.time };
        let mut command = pinned("1", LIMIT);
        command.args(&self.command).arg(scenario.name).envs(self.envs.iter().cloned());
        let scheme = if scenario.has_tls() { "https" } else { "http" };
        command.args(["--url", &format!("{scheme}://127.0.0.1:{}/engine.io/", server.port)]);
        command.env("AUTHORITY", &server.authority); // other clients have no such scenario, and no such argument
        command.args(["--seconds", &time.as_secs_f64().to_string(), "--size", &scenario.size.to_string()]);
        command.args(["--window", &scenario.window.to_string(), "--sessions", &options.sessions.to_string()]);
        let output = command.stdin(Stdio::null()).output()?;
        server.stop()?;
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout).map_err(|error| error.to_string()));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).map(str::to_owned);
        Ok(Err(last.unwrap_or_else(|| output.status.to_string())))
    }
}

/// The server of one run.
struct Server {
    process: Child,
    port: u64,
    authority: String, // that has signed its certificate, if it has one
}

impl Server {
    fn start(is_idle: bool, has_tls: bool) -> Result<Self, Box<dyn Error>> {
        let (interval, timeout) = if is_idle { ("2000", "2000") } else { ("25000", "20000") };
        let mut command = pinned("0", LIMIT);
        command.arg(env::current_exe()?).args(["serve", interval, timeout]).args(has_tls.then_some("tls"));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut told = String::new();
        BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut told)?;
        let told: Value = serde_json::from_str(&told)?;
        let port = told["port"].as_u64().ok_or("the server has no port")?;
        Ok(Self { process, port, authority: told["authority"].as_str().unwrap_or_default().to_owned() })
    }

    /// It ends with its standard input.
    fn stop(&mut self) -> Result<(), Box<dyn Error>> {
        drop(self.process.stdin.take());
        self.process.wait()?;
        Ok(())
    }
}

/// A command that stays on one processor, and ends after so many seconds at the latest.
fn pinned(processor: &str, limit: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args([limit, "taskset", "--cpu-list", processor]);
    command
}

/// A line on what all this ran on.
fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':')).map_or("", |(_, model)| model);
    let processors = info.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim().split('-').next().unwrap_or_default().to_owned();
    format!(
        "{processors} processors ({}), one for the server and one for the client; Linux {kernel}; loopback",
        model.trim()
    )
}

const LIMIT: &str = "120";
const NOT_THERE: &str = "no such scenario";
