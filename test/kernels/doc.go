// Package kernels boots older kernels, Debian's, and runs a short form of test/e2e on
// them, with swapinit as the init of the machine.
//
//	apt ── vmlinuz, modules, busybox ──┐
//	make build, go test -c ────────────┼─> initramfs ─> qemu: kernel ─ exec ─> swapinit
//	guest/ (the program in there) ─────┘                                        └─ guest
//	                                                                                └─ e2e.test
//
// There is no disk and no network: all that a machine has is in its initramfs, and all
// that it says comes over its console. The machine ends as a container does, with its
// first process, and the kernel's last words are the exit status of it. A test that was
// asked for and is not heard of has failed.
//
// `make kernels` boots all of them, `make kernels KERNELS=6.1-amd64` one.
package kernels
