//! What a message costs in a session whose transport is in memory, and so in the socket, the combinator and the engine: to
//! be received, sent and echoed, 100 at a time.

mod each;
mod in_memory;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use self::{
    each::time_each,
    in_memory::{BATCH, Operation, polled, spawned},
};

fn messages(criterion: &mut Criterion) {
    for (name, operation) in [("receive", Operation::Receive), ("send", Operation::Send), ("echo", Operation::Echo)] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(1));
        group.bench_function("polled", |bencher| time_each(bencher, BATCH, polled(operation)));
        group.bench_function("spawned", |bencher| time_each(bencher, BATCH, spawned(operation)));
        group.finish();
    }
}

criterion_group!(benches, messages);
criterion_main!(benches);
