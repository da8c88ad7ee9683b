//! System calls, by seccomp: those that a node never makes, and that whoever takes it over would want, fail with EPERM.
//!
//! A list of what is denied, not of what is allowed: the C library, the kernel's vDSO and the allocator choose calls by
//! version, and a node that is killed by an update of its board's C library helps nobody.

use seccompiler::{SeccompAction, apply_filter, sock_filter};

use crate::{Layer, State};

const NAME: &str = "system calls";

/// Running programs, looking into other processes, changing the system, and calls with a history of holes.
const DENIED: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_open_by_handle_at,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_capset,
    libc::SYS_personality,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_mknodat,
];

/// `AUDIT_ARCH_*` of linux/audit.h: which mode of the processor a call comes from.
#[cfg(target_arch = "x86_64")]
const OWN_MODE: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
const OWN_MODE: Option<u32> = Some(0xc000_00b7);
#[cfg(target_arch = "riscv64")]
const OWN_MODE: Option<u32> = Some(0xc000_00f3);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
const OWN_MODE: Option<u32> = None;

/// On x86-64 the kernel may know each call by a second number, of the x32 ABI, which a list of numbers does not have.
/// The numbers of this bit all fail, and so does -1. Nowhere else are numbers so large.
const SECOND_NUMBERS: u32 = 0x4000_0000;

pub(crate) fn enter() -> Layer {
    match filter().and_then(|program| apply_filter(&program).map_err(|e| e.to_string())) {
        Ok(()) => Layer {
            name: NAME,
            state: State::Enforced,
            why: format!(
                "{} that a node never makes are refused, the execution of programs first",
                DENIED.len()
            ),
        },
        Err(why) => Layer { name: NAME, state: State::Off, why },
    }
}

/// The filter as the kernel takes it (`struct sock_filter`, seccomp(2)): what it does can be tried out by itself.
///
/// # Errors
/// There is none for this kind of processor.
pub(crate) fn bytes() -> Result<Vec<u8>, String> {
    let step = |s: &sock_filter| {
        let [c0, c1] = s.code.to_ne_bytes();
        let [k0, k1, k2, k3] = s.k.to_ne_bytes();
        [c0, c1, s.jt, s.jf, k0, k1, k2, k3]
    };
    filter().map(|program| program.iter().flat_map(step).collect())
}

/// ```text
///   mode other than our own ── yes ──> the process ends
///   number at least 2^30, or on the list ── yes ──> EPERM
///   allowed
/// ```
fn filter() -> Result<Vec<sock_filter>, String> {
    // linux/filter.h: load a word of seccomp_data, compare it, answer.
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const AT_LEAST: u16 = 0x35;
    const ANSWER: u16 = 0x06;
    // Where in seccomp_data they are.
    const NUMBER: u32 = 0;
    const MODE: u32 = 4;
    let mode = OWN_MODE.ok_or_else(|| format!("no filter for {}", std::env::consts::ARCH))?;
    let answer = |action: SeccompAction| sock_filter { code: ANSWER, jt: 0, jf: 0, k: action.into() };
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    // A jump skips so many steps: over the rest of the list, and over the answer that allows.
    let rest = |left: usize| u8::try_from(left + 1).map_err(|_| "the list is too long".to_string());
    let mut program = vec![
        step(LOAD, 0, 0, MODE),
        step(EQUAL, 1, 0, mode),
        answer(SeccompAction::KillProcess),
        step(LOAD, 0, 0, NUMBER),
        step(AT_LEAST, rest(DENIED.len())?, 0, SECOND_NUMBERS),
    ];
    for (left, call) in (0..DENIED.len()).rev().zip(DENIED) {
        let number = u32::try_from(*call).map_err(|e| e.to_string())?;
        program.push(step(EQUAL, rest(left)?, 0, number));
    }
    program.push(answer(SeccompAction::Allow));
    program.push(answer(SeccompAction::Errno(libc::EPERM.unsigned_abs())));
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do, for a call of this mode and number.
    fn run(program: &[sock_filter], mode: u32, number: u32) -> u32 {
        let (mut at, mut word) = (0, 0);
        loop {
            let step = &program[at];
            at += 1;
            match step.code {
                0x20 => word = if step.k == 0 { number } else { mode },
                0x15 => at += usize::from(if word == step.k { step.jt } else { step.jf }),
                0x35 => at += usize::from(if word >= step.k { step.jt } else { step.jf }),
                0x06 => return step.k,
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn each_call_of_the_list_fails_and_no_other() {
        const ALLOW: u32 = 0x7fff_0000;
        const FAIL: u32 = 0x0005_0001;
        const KILL: u32 = 0x8000_0000;
        let (program, own) = (filter().unwrap(), OWN_MODE.unwrap());
        for number in 0..2_000_i32 {
            let expected = if DENIED.contains(&libc::c_long::from(number)) { FAIL } else { ALLOW };
            assert_eq!(run(&program, own, number.cast_unsigned()), expected, "{number}");
        }
        for number in [SECOND_NUMBERS, SECOND_NUMBERS + 59, u32::MAX] {
            assert_eq!(run(&program, own, number), FAIL);
        }
        assert_eq!(run(&program, 0x4000_0003, 11), KILL);
    }
}
