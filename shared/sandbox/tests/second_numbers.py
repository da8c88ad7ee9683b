"""second_numbers.py FILE: enters the seccomp filter in FILE (struct sock_filter, one after the other) and tries to get
around it: by the numbers of the x32 ABI, and by the calls of 32-bit programs. For x86-64. Prints a line for each."""

import ctypes
import errno
import mmap
import os
import signal
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
X32 = 0x40000000
GETPID, EXECVE, X32_EXECVE = 39, 59, 520

libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4


def enter(code):
    held = ctypes.create_string_buffer(code, len(code))
    whole = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(held))
    whole = ctypes.create_string_buffer(whole, len(whole))
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(whole), 0, 0) == 0


def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *arguments)
    return errno.errorcode[ctypes.get_errno()] if result == -1 else "ok"


def call_of_32_bit():
    """How a child ends that asks for its number by `int 0x80`."""
    child = os.fork()
    if child == 0:
        # mov eax, 20 (getpid); int 0x80; ret
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
        place = ctypes.addressof(ctypes.c_char.from_buffer(page))
        ctypes.CFUNCTYPE(ctypes.c_int)(place)()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "ok"


true = (ctypes.c_char_p(b"/bin/true"), None, None)
print("before, 32 bit:", call_of_32_bit())
enter(open(sys.argv[1], "rb").read())
print("own number:", call(GETPID))
print("execve:", call(EXECVE, *true))
print("number of x32:", call(GETPID | X32))
print("execve, bit of x32:", call(EXECVE | X32, *true))
print("execve of x32:", call(X32_EXECVE | X32, *true))
print("32 bit:", call_of_32_bit())
