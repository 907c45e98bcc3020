//! Memory of a process tree.

use std::fs;

use super::descendants;

/// Memory of a process and its descendants, in KiB. Buffers that the kernel keeps for sockets are not in it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Memory {
    /// Resident; pages shared by several processes are counted in each.
    pub(crate) rss_kib: u64,
    /// Proportional: a page shared by n processes counts 1/n in each, so that the sum is what is really used.
    pub(crate) pss_kib: u64,
}

/// Returns the memory of `pid` and all its descendants.
///
/// # Errors
///
/// The process is gone, or belongs to another user.
pub(crate) fn memory(pid: u32) -> anyhow::Result<Memory> {
    let mut sum = parse(&read(pid)?);
    for descendant in descendants(pid) {
        // One that ended since it was listed uses none.
        let more = read(descendant).map(|text| parse(&text)).unwrap_or_default();
        sum.rss_kib += more.rss_kib;
        sum.pss_kib += more.pss_kib;
    }
    Ok(sum)
}

fn read(pid: u32) -> std::io::Result<String> {
    fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
}

fn parse(rollup: &str) -> Memory {
    let field = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
    };
    Memory { rss_kib: field("Rss:"), pss_kib: field("Pss:") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_of_a_rollup_are_read_and_nothing_that_begins_alike() {
        let rollup = "55d0-7ffe ---p 0 00:00 0 [rollup]\nRss:                8124 kB\nPss:                3011 kB\n\
                      Pss_Dirty:           900 kB\nPss_Anon:            800 kB\n";
        assert_eq!(parse(rollup), Memory { rss_kib: 8_124, pss_kib: 3_011 });
    }

    #[test]
    fn this_process_has_memory() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.pss_kib > 100 && memory.pss_kib <= memory.rss_kib, "{memory:?}");
    }
}
