//! What refusing an encrypted token takes, fault by fault, counted by callgrind: faults that only the server could tell apart take the same (RFC 7516
//! section 11.5).

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::step::Outcome;

/// As often as `sealed.rs` of the counted program runs each fault.
const TIMES: u64 = 32;
/// How far the counts of one group may lie apart, in thousandths of the least. How long a new blinding of an RSA key takes is chance, and moves
/// them by less than one; leaving the content alone where its key does
/// not come out moves them by five.
const APART: u64 = 3;
/// Or in instructions, where the whole takes few.
const FEW: u64 = 1000;

struct Fault {
    within: String,
    name: String,
    count: u64,
}

/// Counts each fault in one process, and refuses groups that tell their faults apart.
pub(crate) fn even(program: &Path, folder: &Path) -> Outcome {
    let output = folder.join("counts-sealed");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["-q", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*measured*"])
        .arg("--dump-after=bench_counts::measured*")
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(program)
        .arg("sealed")
        .stderr(Stdio::inherit());
    let done = valgrind.output().map_err(|error| format!("valgrind: {error}"))?;
    if !done.status.success() {
        return Err("an encrypted token was answered otherwise than it should be, or valgrind failed".to_owned());
    }
    let mut faults = Vec::new();
    for (at, line) in String::from_utf8_lossy(&done.stdout).lines().enumerate() {
        let (within, name) = line.split_once('\t').ok_or_else(|| format!("no fault in {line:?}"))?;
        let file = format!("{}.{}", output.display(), at + 1);
        let text = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        let _ = fs::remove_file(&file);
        let total = text.lines().find_map(|line| line.strip_prefix("totals:")?.trim().parse::<u64>().ok());
        let count = total.ok_or_else(|| format!("callgrind counted nothing for {line}"))? / TIMES;
        eprintln!("{within:>26}, {name}: {count} instructions");
        faults.push(Fault { within: within.to_owned(), name: name.to_owned(), count });
    }
    compare(&faults)
}

fn compare(faults: &[Fault]) -> Outcome {
    let mut groups: Vec<&str> = faults.iter().map(|fault| &*fault.within).collect();
    groups.dedup();
    if groups.is_empty() {
        return Err("no encrypted token was counted".to_owned());
    }
    for group in groups {
        let told = faults.iter().filter(|fault| fault.within == group && !fault.name.ends_with(", known"));
        let (least, most) = (told.clone().min_by_key(|fault| fault.count), told.max_by_key(|fault| fault.count));
        let (Some(least), Some(most)) = (least, most) else { return Err(format!("{group}: nothing was compared")) };
        let apart = most.count - least.count;
        if least.count == 0 || apart > FEW.max(least.count * APART / 1000) {
            return Err(format!(
                "{group}: {} takes {} instructions and {} takes {}: a clock tells them apart",
                least.name, least.count, most.name, most.count
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_that_a_clock_tells_apart_are_refused_unless_their_sender_knows_them() {
        let fault = |within: &str, name: &str, count| Fault { within: within.into(), name: name.into(), count };
        for (count, name, passes) in [
            (1_002_900, "another key", true),
            (1_003_100, "another key", false),
            (990_000, "another key", false),
            (90_000, "beyond the modulus, known", true),
        ] {
            let faults =
                [fault("RSA", "another tag", 1_000_000), fault("RSA", name, count), fault("dir", "another tag", 5)];
            assert_eq!(compare(&faults).is_ok(), passes, "{count} {name}");
        }
        assert!(compare(&[]).is_err() && compare(&[fault("dir", "x, known", 1)]).is_err());
    }
}
