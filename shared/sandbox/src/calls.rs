//! System calls, by seccomp: those that a node never makes, and that whoever takes it over would want, fail with EPERM.
//!
//! A list of what is denied, not of what is allowed: the C library, the kernel's vDSO and the allocator choose calls by
//! version, and a node that is killed by an update of its board's C library helps nobody.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter, sock_filter};

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

/// On x86-64 the kernel may know each call by a second number, of the x32 ABI, which a list of numbers does not have.
/// The numbers of this bit all fail, and so does -1.
#[cfg(target_arch = "x86_64")]
fn no_second_numbers() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    // From linux/filter.h: load the word of seccomp_data at an offset, here the number; compare; answer.
    const LOAD: u16 = 0x20;
    const AT_LEAST: u16 = 0x35;
    const ANSWER: u16 = 0x06;
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let denied = u32::from(SeccompAction::Errno(libc::EPERM.unsigned_abs()));
    vec![step(LOAD, 0, 0, 0), step(AT_LEAST, 0, 1, X32), step(ANSWER, 0, 0, denied)]
}

#[cfg(not(target_arch = "x86_64"))]
fn no_second_numbers() -> BpfProgram {
    BpfProgram::new()
}

fn filter() -> Result<BpfProgram, String> {
    let arch =
        std::env::consts::ARCH.try_into().map_err(|_| format!("no filter for {}", std::env::consts::ARCH))?;
    let rules: BTreeMap<i64, Vec<_>> = DENIED.iter().map(|call| (*call, Vec::new())).collect();
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, arch).map_err(|e| e.to_string())?;
    let list: BpfProgram = filter.try_into().map_err(|e: seccompiler::BackendError| e.to_string())?;
    // The list begins with a look at the processor's mode: calls of another one, such as 32 bit, end the process.
    let mut program = no_second_numbers();
    program.extend(list);
    Ok(program)
}
