"""The system calls that a command in the sandbox may not make.

What traces other processes, mounts, enters namespaces, makes devices, holds kernel keys, loads
kernel code, or opens a socket of another family than Unix is refused. `clone3` answers that it does
not exist, because a filter cannot see its flags; C libraries go on with `clone`.
"""

DENIED = """ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd
io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key bpf perf_event_open
userfaultfd mount umount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount
fspick mount_setattr setns unshare open_by_handle_at kexec_load kexec_file_load init_module
finit_module delete_module acct swapon swapoff reboot quotactl quotactl_fd nfsservctl
lookup_dcookie vhangup iopl ioperm modify_ldt fanotify_init syslog settimeofday clock_settime
adjtimex clock_adjtime sethostname setdomainname"""
"""Names, with blanks between."""
NEW_NAMESPACES = (
    0x00000080,  # time
    0x00020000,  # mount
    0x02000000,  # cgroup
    0x04000000,  # uts
    0x08000000,  # ipc
    0x10000000,  # user
    0x20000000,  # pid
    0x40000000,  # net
)
"""Flags of `clone`."""
TERMINAL_INPUT = (0x5412, 0x541C, 0x541D)
"""Requests of `ioctl` that put text where somebody else reads it: TIOCSTI, TIOCLINUX, TIOCCONS."""
UNIX_FAMILY, INTERNET_FAMILY = 1, 2
FAMILIES_MAX = 64
"""Families of sockets that are told apart; all above are refused."""
DEVICES = (0o020000, 0o060000)
"""Kinds of file of `mknod` that are devices."""
KIND_MASK = 0o170000
