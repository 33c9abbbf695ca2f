//! How many instructions a packet or a message takes, as valgrind's callgrind counts them: unlike times, they are as good as
//! the same at every run, so that what has become slower shows on a busy machine, too.
//!
//! They are compared with those in `instructions.txt`, and fail if one is 3 % off, to either side: what has become faster
//! should stay so. With `BASELINE=new` they are written there instead. Another compiler makes other code, so where it is
//! not the one of that file, nothing fails. Counts also depend a little on the C library and the kind of processor.

mod in_memory;

use std::{
    env, fs,
    hint::black_box,
    process::{Command, ExitCode},
};

use engineio_client::{Packet, codec::Codec};

use self::in_memory::{BATCH, Operation, polled, spawned};

/// What is counted, each in a process of its own.
const CASES: [(&str, fn()); 14] = [
    ("encode, v4", || encode(Codec::v4())),
    ("encode, v3", || encode(Codec::v3())),
    ("encode, v3 base64", || encode(Codec::v3().base64(true))),
    ("encode, v3 engine.io 1", || encode(Codec::v3_engine_io_1())),
    ("decode, v4", || decode(Codec::v4())),
    ("decode, v3", || decode(Codec::v3())),
    ("decode, v3 base64", || decode(Codec::v3().base64(true))),
    ("decode, v3 engine.io 1", || decode(Codec::v3_engine_io_1())),
    ("receive, polled", || count_batches(polled(Operation::Receive))),
    ("receive, spawned", || count_batches(spawned(Operation::Receive))),
    ("send, polled", || count_batches(polled(Operation::Send))),
    ("send, spawned", || count_batches(spawned(Operation::Send))),
    ("echo, polled", || count_batches(polled(Operation::Echo))),
    ("echo, spawned", || count_batches(spawned(Operation::Echo))),
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().collect();
    match &args[1..] {
        [run, name] if run == "--run" => {
            let (_, run) = CASES.iter().find(|(case, _)| case == name).expect("we have named it");
            run();
            ExitCode::SUCCESS
        }
        args if args.iter().any(|arg| arg == "--bench") => compare(),
        _ => ExitCode::SUCCESS, // `cargo test --benches` is no place to count
    }
}

fn compare() -> ExitCode {
    let baseline = fs::read_to_string(BASELINE).unwrap_or_default();
    let (rustc_then, rustc) = (baseline.lines().next().unwrap_or("none"), rustc());
    let mut counts = format!("{rustc}\n");
    let mut all_as_before = true;
    for (name, _) in CASES {
        let count = count(name) as f64 / (BATCHES * BATCH) as f64;
        let line = format!("{name:<24}{count:>8.1}");
        let before = baseline.lines().find_map(|line| line.strip_prefix(&format!("{name:<24}"))?.trim().parse().ok());
        let change = before.map_or(f64::INFINITY, |before: f64| (count / before - 1.) * 100.); // or it is new
        eprintln!("{line}{change:>+8.1} %");
        all_as_before &= change.abs() <= TOLERANCE;
        counts += &format!("{line}\n");
    }
    if env::var("BASELINE").is_ok_and(|value| value == "new") {
        fs::write(BASELINE, counts).expect("the file is ours");
        eprintln!("written to {BASELINE}");
    } else if rustc != rustc_then {
        eprintln!("the baseline is of {rustc_then}, and this is {rustc}: the difference may be theirs");
    } else if !all_as_before {
        eprintln!("more than {TOLERANCE} % off: mend it, or write the baseline anew with BASELINE=new");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs a case under valgrind, and gives the number of instructions within [`counted`].
fn count(name: &str) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted*"])
        .arg(env::current_exe().expect("we are running"))
        .args(["--run", name])
        .env_clear() // what is in there moves the stack
        .envs(env::var_os("PATH").map(|path| ("PATH", path)))
        .output()
        .expect("valgrind is installed");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed: {report}");
    let collected = report.lines().find_map(|line| line.split_once("Collected : "));
    let (_, collected) = collected.expect("callgrind tells the sum");
    collected.trim().parse().expect("a number")
}

fn rustc() -> String {
    let output = Command::new("rustc").arg("--version").output().expect("it has compiled this");
    format!("{} on {}", String::from_utf8_lossy(&output.stdout).trim(), env::consts::ARCH)
}

/// Runs it for [`BATCHES`] times that count, after one that does not: then all is loaded and has its memory.
fn count_batches(mut run: impl FnMut()) {
    run();
    for _ in 0..BATCHES {
        counted(&mut run);
    }
}

/// Callgrind counts while this runs: it knows it by its name.
#[inline(never)]
fn counted(run: &mut dyn FnMut()) {
    run();
}

fn encode(codec: Codec) {
    let packets = packets();
    count_batches(|| drop(black_box(codec.encode_payload(black_box(&packets)))));
}

fn decode(codec: Codec) {
    let body = codec.encode_payload(&packets());
    count_batches(|| {
        for packet in codec.decode_payload(black_box(body.clone())) {
            black_box(packet.expect("it is sound"));
        }
    });
}

fn packets() -> Vec<Packet> {
    (0..BATCH).map(|_| "x".repeat(64).into()).collect()
}

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");
/// Percent.
const TOLERANCE: f64 = 3.;
const BATCHES: u64 = 10;
