package member

import (
	"strings"
	"testing"
)

func TestContainer(t *testing.T) {
	if name := Container(); !usable(name) || name != Container() {
		t.Errorf("%q", name)
	}
}

func TestIDOf(t *testing.T) {
	a, b := strings.Repeat("0123456789abcdef", 4), strings.Repeat("fedcba9876543210", 4)
	const (
		docker = "1 2 98:0 /var/lib/docker/containers/ID/hostname /etc/hostname rw,relatime - ext4 /dev/a rw\n"
		podman = "1 2 0:24 /containers/storage/overlay-containers/ID/userdata/hostname /etc/hostname rw,nosuid - tmpfs tmpfs rw\n"
		root   = "1 2 0:50 / / rw - overlay overlay rw,lowerdir=/x\n"
	)
	with := func(line, id string) string { return strings.ReplaceAll(line, "ID", id) }
	for _, c := range []struct{ table, want string }{
		{root + with(docker, a), a},
		{root + with(podman, a), a},
		{with(podman, a) + root, a},
		{strings.TrimSuffix(with(docker, a), "\n"), a},
		{with("1 2 0:24 /@/docker/containers/ID/hostname /etc/hostname rw - btrfs a rw\n", a), a},
		{with("1 2 0:24 /run/user/1000/containers/overlay-containers/ID/userdata/hostname /etc/hostname rw - tmpfs a rw\n", a), a},
		{with(docker, a) + with(docker, b), b}, // the last one is seen
		{with(docker, a) + strings.Replace(with(docker, b), "/etc/hostname", "/etc/hosts", 1), a},
		{with(docker, a) + strings.ReplaceAll(with(docker, b), "/containers/", "/volumes/"), ""},
		{with(docker, a[1:]), ""},
		{with(docker, a+"0"), ""},
		{with(docker, strings.ToUpper(a)), ""},
		{with(docker, ".."), ""},
		{strings.Replace(with(docker, a), "/hostname ", "/hosts ", 1), ""},
		{"1 2 98:0 /etc/hostname /etc/hostname rw - ext4 a rw\n", ""},
		{"1 2 98:0 hostname /etc/hostname rw - ext4 a rw\n", ""},
		{"/etc/hostname\n\n \n1 2 3 4 /etc/hostname", ""},
		{"", ""},
	} {
		if got := idOf(c.table); got != c.want {
			t.Errorf("%q in %q, want %q", got, c.table, c.want)
		}
	}
}

func FuzzIDOf(f *testing.F) {
	f.Add("1 2 98:0 /var/lib/docker/containers/" + strings.Repeat("ab", 32) + "/hostname /etc/hostname rw - ext4 a rw\n")
	f.Fuzz(func(t *testing.T, table string) {
		if id := idOf(table); id != "" && (!isID(id) || !usable(id) || !strings.Contains(table, id)) {
			t.Errorf("%q of %q", id, table)
		}
	})
}
