package adopt

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// data is struct seccomp_data, as the program reads it: words of 32 bits.
type data [16]uint32

func seccompData(arch, number uint32, args ...uint64) (d data) {
	d[0], d[1] = number, arch
	for i, arg := range args {
		d[4+2*i], d[5+2*i] = uint32(arg), uint32(arg>>32)
	}
	return d
}

// interpret runs a program of the instructions that the filter has.
func interpret(p []unix.SockFilter, d data) (uint32, error) {
	var a uint32
	for at := 0; at < len(p); at++ { // there is no way back, so this ends
		switch i := p[at]; i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			if i.K%4 != 0 || int(i.K/4) >= len(d) {
				return 0, fmt.Errorf("instruction %d reads at %d", at, i.K)
			}
			a = d[i.K/4]
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			if a == i.K {
				at += int(i.Jt)
			} else {
				at += int(i.Jf)
			}
		case unix.BPF_RET | unix.BPF_K:
			return i.K, nil
		default:
			return 0, fmt.Errorf("instruction %d has code %#x", at, i.Code)
		}
	}
	return 0, fmt.Errorf("it runs out of the program")
}

// machines are what doc/syscalls of each architecture says: unix has only our own.
var machines = map[string]struct{ arch, bind, listen, setsockopt uint32 }{
	"amd64":   {0xC000003E, 49, 50, 54},
	"arm64":   {0xC00000B7, 200, 201, 208},
	"arm":     {0x40000028, 282, 284, 294},
	"riscv64": {0xC00000F3, 200, 201, 208},
	"386":     {0x40000003, 361, 363, 366},
	"x32":     {0xC000003E, 49 | x32, 50 | x32, 541 | x32},
}

// x32 is in the numbers of a program of that ABI, whose architecture is that of amd64.
const x32 = 0x40000000

// notifies is what the filter is to say, written another way.
func notifies(arch, number uint32, level, name uint64) bool {
	own := machines[runtime.GOARCH]
	if arch != own.arch {
		return false
	}
	if number == own.setsockopt {
		all := append(slices.Clone(noted[:]), programs[:]...)
		return slices.Contains(all, option{int(int32(level)), int(int32(name))})
	}
	return number == own.bind || number == own.listen
}

func checkFilter(t *testing.T, p []unix.SockFilter, arch, number uint32, args ...uint64) {
	got, err := interpret(p, seccompData(arch, number, args...))
	want := uint32(unix.SECCOMP_RET_ALLOW)
	if notifies(arch, number, args[1], args[2]) {
		want = unix.SECCOMP_RET_USER_NOTIF
	}
	if err != nil || got != want {
		t.Errorf("architecture %#x, call %#x%v: %#x, %v, want %#x", arch, number, args, got, err, want)
	}
}

func TestFilter(t *testing.T) {
	if architecture() == 0 {
		t.Skip("not made for " + runtime.GOARCH)
	}
	if architecture() != machines[runtime.GOARCH].arch {
		t.Fatalf("the architecture is %#x", architecture())
	}
	p := filter()
	if len(p) > 4096 {
		t.Fatalf("%d instructions are too many for the kernel", len(p))
	}
	own := machines[runtime.GOARCH]
	for level := range uint64(300) {
		for name := range uint64(100) {
			checkFilter(t, p, own.arch, own.setsockopt, 7, level, name)
		}
	}
	for _, other := range machines {
		for _, m := range machines {
			for _, number := range []uint32{m.bind, m.listen, m.setsockopt} {
				for _, o := range append(noted[:], programs[:]...) {
					checkFilter(t, p, other.arch, number, 7, uint64(o.level), uint64(o.name))
					// The upper half of a register is not the int's.
					checkFilter(t, p, other.arch, number, 7, uint64(o.level)|1<<32, uint64(o.name)|0xffffffff<<32)
					checkFilter(t, p, other.arch, number, 7, uint64(o.name), uint64(o.level))
				}
				checkFilter(t, p, other.arch, number, 0, ^uint64(0), ^uint64(0))
			}
		}
		for number := range uint32(600) {
			checkFilter(t, p, other.arch, number, 7, unix.SOL_SOCKET, unix.SO_REUSEPORT)
		}
	}
}

func FuzzFilter(f *testing.F) {
	own := machines[runtime.GOARCH]
	f.Add(own.arch, own.bind, uint64(0), uint64(0))
	f.Add(own.arch, own.setsockopt, uint64(unix.SOL_SOCKET), uint64(unix.SO_REUSEPORT))
	f.Add(own.arch, own.setsockopt|x32, uint64(unix.SOL_TCP), uint64(unix.TCP_FASTOPEN))
	f.Fuzz(func(t *testing.T, arch, number uint32, level, name uint64) {
		checkFilter(t, filter(), arch, number, 7, level, name)
	})
}

// The kernel takes the program, and stops what it is to stop: nobody answers the
// others, which therefore return only if they are not stopped.
func TestFilterInTheKernel(t *testing.T) {
	s := start(t, 0)
	fd := s.tcp4()
	// notified has one command stopped and lets it go on.
	notified := func(call int, words ...any) {
		t.Helper()
		s.say(words...)
		p := []unix.PollFd{{Fd: int32(s.listener), Events: unix.POLLIN}}
		for n := 0; n == 0; {
			var err error
			if n, err = unix.Poll(p, int(patience.Milliseconds())); err == unix.EINTR {
				continue
			}
			if err != nil || n == 0 {
				t.Fatalf("%v is not stopped: %v", words, err)
			}
		}
		n, err := receive(s.listener)
		must(t, err)
		if int(n.call) != call || n.arch != architecture() || int(n.args[0]) != fd || !n.valid(s.listener) {
			t.Errorf("%v: %+v", words, n)
		}
		n.proceed(s.listener)
		if n.valid(s.listener) {
			t.Errorf("%v waits still", words)
		}
		s.hear()
	}
	all := append(slices.Clone(noted[:]), programs[:]...)
	for _, level := range []int{unix.SOL_SOCKET, unix.SOL_TCP, unix.SOL_IPV6, unix.SOL_IP} {
		for name := 1; name < 80; name++ {
			if slices.Contains(all, option{level, name}) {
				notified(unix.SYS_SETSOCKOPT, "set", fd, level, name, "00000000")
				continue
			}
			s.do("set", fd, level, name, "")
		}
	}
	s.expect(0, "get", fd, unix.SOL_SOCKET, unix.SO_REUSEPORT)
	if runtime.GOARCH == "amd64" {
		s.do("x32bind", fd)
	}
	notified(unix.SYS_BIND, "bind", fd, raw(loopback(0)))
	notified(unix.SYS_LISTEN, "listen", fd, 5)
	if !replaces(s.listener) {
		t.Error("no descriptor can be put into a process")
	}
}

// A second filter with a listener above the first is refused, and does no harm.
func TestInstallTwice(t *testing.T) {
	s := start(t, 0)
	s.expect(no(unix.EBUSY), "install")
	s.supervise(newBroker(t))
	s.expect(0, "bind", s.tcp4(), raw(loopback(0)))
}

func TestConfined(t *testing.T) {
	yes := start(t, 65534).supervise(newBroker(t)).do("confined")
	if yes != 1 {
		t.Error("a user without CAP_SYS_ADMIN has a filter, but not no_new_privs")
	}
}
