//! What a server's metrics tell, in Prometheus' text format. Metrics are a bonus: nothing here is needed for a backup, and
//! what cannot be read is not told.

use c8keep_engine::ports::Machine;
use jiff::{SignedDuration, Timestamp};

/// The machine of the broker at an address, from its metrics as 8.6.0 tells them. Brokers measure the disk of their working
/// directory unless told otherwise, and in a container that is another one than that of their data: only a measurement of
/// the data's own directory counts.
pub fn machine(address: &str, body: &[u8], data: Option<&str>) -> Machine {
    // No metric is called "now"; start and uptime come from the same clock, and their sum is it.
    let started = values(body, "process_start_time_seconds").into_iter().next();
    let uptime = values(body, "process_uptime_seconds").into_iter().next();
    let time = started.zip(uptime).and_then(|(started, uptime)| instant(started + uptime));
    Machine {
        address: address.to_owned(),
        disk_free: data.and_then(|directory| disk_free(body, directory)),
        stops_at: None,
        time,
        log_written: log_written(body),
        uptime: uptime.and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok()),
    }
}

/// Called a rate, it counts KiB since the start, one series a partition (class `JournalMetrics` of 8.6.0, and its successor,
/// which tells its unit to the registry).
fn log_written(body: &[u8]) -> Option<u64> {
    const NAMES: [&str; 2] =
        ["atomix_journal_append_data_rate_total", "atomix_journal_append_data_rate_KiB_total"];
    let told = NAMES.into_iter().map(|name| values(body, name)).find(|values| !values.is_empty())?;
    whole((told.iter().sum::<f64>() * 1_024.0).trunc())
}

/// The highest value of a gauge over all its series.
pub fn gauge_max(body: &[u8], name: &str) -> Option<u64> {
    values(body, name).into_iter().filter_map(whole).filter(|value| *value > 0).max()
}

fn disk_free(body: &[u8], directory: &str) -> Option<u64> {
    let text = String::from_utf8_lossy(body);
    let of_directory = |labels: &str| {
        let path = labels.split_once("path=\"").and_then(|(_, rest)| rest.split('"').next());
        path.is_some_and(|path| path.trim_end_matches("/.") == directory.trim_end_matches('/'))
    };
    let mut of_data = series(&text, "disk_free_bytes").filter(|(labels, _)| of_directory(labels));
    of_data.find_map(|(_, value)| whole(value))
}

/// Ids and bytes fit a double exactly up to 2^53, far above milliseconds since 1970 and any disk.
fn whole(value: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a number from zero up that a double holds exactly"
    )]
    (0.0..=9_007_199_254_740_992.0).contains(&value).then_some(value as u64)
}

fn instant(seconds: f64) -> Option<Timestamp> {
    Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}

/// The values of all series of one metric.
fn values(body: &[u8], name: &str) -> Vec<f64> {
    series(&String::from_utf8_lossy(body), name).map(|(_, value)| value).collect()
}

/// All series of one metric: labels and value.
fn series<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}')?,
            None => ("", rest.strip_prefix(' ')?),
        };
        Some((labels, rest.split_whitespace().next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text that anybody's agent may have put together: what cannot be read is not told, and nothing is worth a fault.
    #[test]
    fn fuzz_metrics() {
        // What is read, and a whole page of what is not.
        const READ: &[u8] =
            b"disk_free_bytes{path=\"/usr/local/zeebe/data/.\",} 9.9E10\nprocess_start_time_seconds 1.79E9\n\
            process_uptime_seconds 17.5\nzeebe_checkpoint_id{partition=\"1\",} 1748937221\n";
        let mut examples = crate::fuzz::recorded(&["prometheus"]);
        examples.extend(std::iter::repeat_n(READ.to_vec(), 4 * examples.len()));
        c8keep_fuzz::feed("metrics", &examples, |input| {
            let machine = machine("b0:9600", &input.bytes, Some("/usr/local/zeebe/data"));
            let highest = gauge_max(&input.bytes, "zeebe_checkpoint_id");
            assert!(machine.disk_free.into_iter().chain(highest).all(|value| value <= 1 << 53));
            vec![format!("{machine:?}")]
        });
    }
}
