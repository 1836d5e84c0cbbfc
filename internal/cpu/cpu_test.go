package cpu

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLimit(t *testing.T) {
	const docker = "/docker/0123"
	for _, c := range []struct {
		name       string
		membership string
		files      map[string]string
		want       int // of 8
	}{
		{"nothing", "", nil, 8},
		{"no quota", "0::/\n", map[string]string{"cpu.max": "max 100000\n"}, 8},
		{"whole", "0::/\n", map[string]string{"cpu.max": "200000 100000\n"}, 2},
		{"rounded up", "0::/\n", map[string]string{"cpu.max": "250000 100000\n"}, 3},
		{"just above", "0::/\n", map[string]string{"cpu.max": "200001 100000\n"}, 3},
		{"less than one", "0::/\n", map[string]string{"cpu.max": "1000 100000\n"}, 1},
		{"zero", "0::/\n", map[string]string{"cpu.max": "0 100000\n"}, 1},
		{"more than there are", "0::/\n", map[string]string{"cpu.max": "6400000 100000\n"}, 8},
		{"other period", "0::/\n", map[string]string{"cpu.max": "150000 50000\n"}, 3},
		{"own group", "0::/a/b\n", map[string]string{"a/b/cpu.max": "200000 100000\n"}, 2},
		{"group above", "0::/a/b\n", map[string]string{"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3},
		{"the smallest", "0::/a/b\n", map[string]string{"a/b/cpu.max": "500000 100000\n", "a/cpu.max": "300000 100000\n", "cpu.max": "700000 100000\n"}, 3},
		{"another group", "0::/a\n", map[string]string{"b/cpu.max": "200000 100000\n"}, 8},
		{"without a controller", "0::/a/b\n", map[string]string{"a/cpu.max": "300000 100000\n", "a/b/cgroup.procs": "1\n"}, 3},
		{"path of the host's", "0::" + docker + "\n", map[string]string{"cpu.max": "200000 100000\n"}, 2},
		{"outside the namespace", "0::/../..\n", map[string]string{"cpu.max": "200000 100000\n"}, 2},
		{"colon in the path", "0::/a:b\n", map[string]string{"a:b/cpu.max": "200000 100000\n"}, 2},
		{"period of nought", "0::/\n", map[string]string{"cpu.max": "200000 0\n"}, 8},
		{"nonsense", "0::/\nx\n::\n", map[string]string{"cpu.max": "two\n"}, 8},
		{"huge", "0::/\n", map[string]string{"cpu.max": "18446744073709551615 1\n"}, 8},
		{"beyond numbers", "0::/\n", map[string]string{"cpu.max": "99999999999999999999 100000\n"}, 8},

		{"v1", "9:memory:/\n4:cpuacct,cpu:/a\n0::/\n", map[string]string{
			"cpu/a/cpu.cfs_quota_us": "150000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 2},
		{"v1, group above", "1:cpu:/a/b\n", map[string]string{
			"cpu/a/b/cpu.cfs_quota_us": "-1\n", "cpu/a/b/cpu.cfs_period_us": "100000\n",
			"cpu/a/cpu.cfs_quota_us": "300000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 3},
		{"v1, in a container", "1:cpu:" + docker + "\n", map[string]string{
			"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2},
		{"v1, no quota", "1:cpu:/\n", map[string]string{"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8},
		{"v1, no period", "1:cpu:/\n", map[string]string{"cpu/cpu.cfs_quota_us": "150000\n"}, 8},
		{"v1, other controllers", "1:cpuset,cpuacct:/\n", map[string]string{
			"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			membership := dir + "/membership"
			if err := os.WriteFile(membership, []byte(c.membership), 0o644); err != nil {
				t.Fatal(err)
			}
			for name, text := range c.files {
				file := filepath.Join(dir, "mount", name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := limit(8, membership, dir+"/mount"); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
	if got := limit(5, "/absent", "/absent"); got != 5 {
		t.Errorf("with no cgroups: %d, want 5", got)
	}
	if got := limit(0, "/absent", "/absent"); got != 1 {
		t.Errorf("none: %d, want 1", got)
	}
}

// The affinity is that of the moment.
func TestAllowed(t *testing.T) {
	all := Allowed()
	if all < 1 || all > runtime.NumCPU() {
		t.Fatalf("%d of %d", all, runtime.NumCPU())
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	for cpu := range 1024 {
		if before.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	defer unix.SchedSetaffinity(0, &before)
	if got := Allowed(); got != 1 {
		t.Errorf("on one CPU: %d", got)
	}
}

func FuzzLimit(f *testing.F) {
	f.Add("0::/a\n", "150000 100000\n")
	f.Add("4:cpu,cpuacct:/../x\n", "max 0\n")
	f.Fuzz(func(t *testing.T, membership, quota string) {
		dir := t.TempDir()
		for name, text := range map[string]string{"membership": membership, "cpu.max": quota} {
			if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if n := limit(8, dir+"/membership", dir); n < 1 || n > 8 {
			t.Fatalf("%d of 8", n)
		}
	})
}
