use std::time::Instant;

use criterion::Bencher;

/// Measures what one of many takes, when `run` does a whole `batch` of them.
pub(crate) fn time_each(bencher: &mut Bencher<'_>, batch: u64, mut run: impl FnMut()) {
    bencher.iter_custom(|count| {
        let batches = count.div_ceil(batch);
        let start = Instant::now();
        for _ in 0..batches {
            run();
        }
        start.elapsed().mul_f64(count as f64 / (batches * batch) as f64)
    });
}
