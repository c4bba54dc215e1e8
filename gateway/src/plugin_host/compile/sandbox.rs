//! What the compiling child gives up before it reads a byte of what an author made: other processes, files, network, and
//! more CPU time and memory than the compiler needs.
//!
//! What the kernel does not have is gone without; the other walls stand nevertheless.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, nice, set_dumpable_behavior, set_parent_process_death_signal, setrlimit,
};

use super::Budget;

/// How far the child stands back behind the gateway's own threads.
const NICE: i32 = 10;

/// The three that it was given: no more can be opened.
const DESCRIPTORS: u64 = 3;

/// Enters for good.
///
/// # Errors
/// When a limit can't be set. What is merely missing in this kernel is no error.
pub(super) fn enter(budget: Budget) -> Result<(), String> {
    // Ends with the thread that waits for it.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = nice(NICE);
    let limits = [
        (Resource::Cpu, budget.cpu_seconds),
        (Resource::As, budget.memory),
        (Resource::Nofile, DESCRIPTORS),
        (Resource::Nproc, 0),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        limit(resource, most).map_err(|error| format!("{resource:?} can't be limited: {error}"))?;
    }
    filter::install();
    Ok(())
}

fn limit(resource: Resource, most: u64) -> rustix::io::Result<()> {
    // The soft limit of CPU time tells by its signal which it was; the hard one ends whoever ignores that.
    let hard = if resource == Resource::Cpu { most + 1 } else { most };
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(hard) })
}

/// The system calls that are left. All others fail with EPERM.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod filter {
    use std::collections::BTreeMap;

    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
        TargetArch, apply_filter,
    };

    #[cfg(target_arch = "x86_64")]
    const ARCH: TargetArch = TargetArch::x86_64;
    #[cfg(target_arch = "aarch64")]
    const ARCH: TargetArch = TargetArch::aarch64;

    /// Only for the three pipes: what else the daemon may have been started with is of no use to the child.
    const PIPES: [libc::c_long; 4] = [libc::SYS_read, libc::SYS_write, libc::SYS_writev, libc::SYS_close];

    /// The last of the three.
    const LAST_PIPE: u64 = 2;

    /// Memory, time, and the end.
    const LEFT: [libc::c_long; 19] = [
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_brk,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_tgkill,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];

    /// Memory, but none that can be executed: the child makes code and never runs it.
    const MEMORY: [libc::c_long; 2] = [libc::SYS_mmap, libc::SYS_mprotect];

    /// A kernel without seccomp, or a container that forbids it, leaves the other walls.
    pub(super) fn install() {
        let _ = program().map(|program| apply_filter(&program));
    }

    fn program() -> Option<BpfProgram> {
        let exec = u64::try_from(libc::PROT_EXEC).ok()?;
        let no_code = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(exec), 0).ok()?;
        let no_code = SeccompRule::new(vec![no_code]).ok()?;
        let pipe = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Le, LAST_PIPE).ok()?;
        let pipe = SeccompRule::new(vec![pipe]).ok()?;
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = LEFT.into_iter().map(|call| (call, Vec::new())).collect();
        rules.extend(PIPES.into_iter().map(|call| (call, vec![pipe.clone()])));
        rules.extend(MEMORY.into_iter().map(|call| (call, vec![no_code.clone()])));
        let refused = u32::try_from(libc::EPERM).ok()?;
        let filter = SeccompFilter::new(rules, SeccompAction::Errno(refused), SeccompAction::Allow, ARCH).ok()?;
        filter.try_into().ok()
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod filter {
    pub(super) fn install() {}
}
