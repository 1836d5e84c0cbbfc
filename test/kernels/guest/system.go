package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// system mounts what a system has, and brings the loopback interface up.
func system() error {
	for _, m := range []struct{ kind, at, data string }{
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""},
		{"devtmpfs", "/dev", ""},
		{"devpts", "/dev/pts", "ptmxmode=666"},
		{"tmpfs", "/dev/shm", "mode=1777"},
		{"tmpfs", "/tmp", "mode=1777"},
		{"tmpfs", "/run", "mode=755"},
		{"cgroup2", "/sys/fs/cgroup", ""},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, lo)
}

// moduleIsCompressed is MODULE_INIT_COMPRESSED_FILE, of Linux 5.17.
const moduleIsCompressed = 4

// modules loads what /modules has, by the order of the names.
func modules() error {
	names, err := filepath.Glob("/modules/*")
	if err != nil || len(names) == 0 {
		return fmt.Errorf("no modules: %v", err)
	}
	for _, name := range names {
		if err := load(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func load(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if !strings.HasSuffix(name, ".ko") {
		flags = moduleIsCompressed
	}
	return unix.FinitModule(int(f.Fd()), "", flags)
}

// The kernel is tainted when it has died a little (D) or has warned (W).
const taints = 1<<7 | 1<<9

// sound is nil when the kernel has nothing to complain of.
func sound() error {
	var n int
	if _, err := fmt.Sscan(text("/proc/sys/kernel/tainted"), &n); err != nil {
		return err
	}
	if n&taints != 0 {
		return fmt.Errorf("the kernel is tainted, %d: it has warned of something, or worse", n)
	}
	return nil
}
