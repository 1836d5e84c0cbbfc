package ready

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func notice(s string) *string { return &s }

func TestParseMessage(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Message
	}{
		{"READY=1", Message{Ready: true}},
		{"READY=1\n", Message{Ready: true}},
		{"READY=1\x00", Message{Ready: true}},
		{"READY=1\r\nSTATUS=ok\r\n", Message{Ready: true, Status: notice("ok")}},
		{"\n\nREADY=1\nREADY=1\n", Message{Ready: true}},
		{"X=1\nREADY=1\nFDSTORE=1\nFDNAME=a", Message{Ready: true}},
		{"READY=1\nMONOTONIC_USEC=123", Message{Ready: true}},
		{"STOPPING=1", Message{Stopping: true}},
		{"STATUS=", Message{Status: notice("")}},
		{"STATUS=a=b", Message{Status: notice("a=b")}},
		{"STATUS=one\nSTATUS=two", Message{Status: notice("one")}},
		{"STATUS=66 % of naïve 日本\t\x1b[31m!\x7f\xff", Message{Status: notice("66 % of naïve 日本 [31m!")}},
		{"STATUS=READY=1", Message{Status: notice("READY=1")}},
		{"STATUS=" + strings.Repeat("x", 511) + "é", Message{Status: notice(strings.Repeat("x", 511))}},
		{"STATUS=" + strings.Repeat("é", 300), Message{Status: notice(strings.Repeat("é", 256))}},
		{"MAINPID=4711", Message{MainPid: 4711}},
		{"MAINPID=bad\nMAINPID=12\nMAINPID=13", Message{MainPid: 12}},
		{"ERRNO=2", Message{Errno: 2}},
		{"EXTEND_TIMEOUT_USEC=1500000", Message{Extend: 1500 * time.Millisecond}},
		{"EXTEND_TIMEOUT_USEC=86400000001", Message{Extend: 24*time.Hour + time.Microsecond}},
		{"EXTEND_TIMEOUT_USEC=18446744073709551615", Message{Extend: usecMax * usec}},
		{"WATCHDOG=1", Message{Watchdog: true}},
		{"WATCHDOG=trigger", Message{WatchdogTrigger: true}},
		{"WATCHDOG_USEC=20000000", Message{WatchdogUsec: 20 * time.Second}},
		{"WATCHDOG_USEC=0", Message{WatchdogUsec: -1}},
		{"WATCHDOG_USEC=18446744073709551615", Message{WatchdogUsec: -1}},
	} {
		got, barrier, ok := parse([]byte(c.in))
		if !ok || barrier || !reflect.DeepEqual(got, c.want) {
			t.Errorf("parse(%q) = %+v, %v, %v; want %+v", c.in, got, barrier, ok, c.want)
		}
	}
}

func TestParseMessageIgnores(t *testing.T) {
	for _, in := range []string{
		"", "\n", "\x00", "READY=1\x00\n", "READY=1\nX=\x00\nX=1", "READY=1\n\x00\x00", "\x00READY=1", "READY=1\x00\x00", "READY", "READY=", "READY=0", "READY=11",
		" READY=1", "READY=1 ", "ready=1", "XREADY=1", "=1", "=", "\xff\xfe", "STOPPING=0", "WATCHDOG=2", "WATCHDOG=Trigger",
		"MAINPID=0", "MAINPID=1", "MAINPID=-2", "MAINPID=+5", "MAINPID=4194305", "MAINPID=99999999999999999999", "MAINPID=5x", "MAINPID=",
		"EXTEND_TIMEOUT_USEC=0", "EXTEND_TIMEOUT_USEC=-1", "EXTEND_TIMEOUT_USEC=1s", "EXTEND_TIMEOUT_USEC=18446744073709551616", "EXTEND_TIMEOUT_USEC=99999999999999999999999", "EXTEND_TIMEOUT_USEC=",
		"WATCHDOG_USEC=x", "WATCHDOG_USEC=18446744073709551616", "ERRNO=0", "ERRNO=ENOENT", "ERRNO=4096", "FDSTORE=1", "RELOADING=1\nMONOTONIC_USEC=5\n", "X_APP=1", "MAINPIDFD=1",
		"BARRIER=1\nREADY=1", "READY=1\nBARRIER=1", "BARRIER=1\nBARRIER=1", "BARRIER=1\nX=1", "BARRIER=0", "BARRIER=1\nx",
		"MAINPID=" + strings.Repeat("1", 1<<10),
	} {
		if m, barrier, ok := parse([]byte(in)); ok || barrier {
			t.Errorf("parse(%q) = %+v, %v, %v", in, m, barrier, ok)
		}
	}
	for _, in := range []string{"BARRIER=1", "BARRIER=1\n", "\r\nBARRIER=1\x00"} {
		if m, barrier, ok := parse([]byte(in)); !ok || !barrier || !reflect.DeepEqual(m, Message{}) {
			t.Errorf("parse(%q) = %+v, %v, %v", in, m, barrier, ok)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add([]byte("READY=1\nSTATUS=hello\nMAINPID=77\n"))
	f.Add([]byte("BARRIER=1"))
	f.Add([]byte("EXTEND_TIMEOUT_USEC=18446744073709551615\nWATCHDOG_USEC=1\nERRNO=5"))
	f.Add([]byte("STATUS=\xff\xc3\x28\x1b\u202e" + strings.Repeat("é", 400)))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, barrier, ok := parse(data)
		if !ok && barrier {
			t.Error("a barrier that is not ok")
		}
		if barrier && !reflect.DeepEqual(m, Message{}) {
			t.Errorf("a barrier with %+v", m)
		}
		if m.MainPid < 0 || m.MainPid == 1 || m.MainPid > pidMax || m.Errno < 0 || m.Errno > errnoMax {
			t.Errorf("numbers of %+v", m)
		}
		if m.Extend < 0 || m.WatchdogUsec < -1 {
			t.Errorf("times of %+v", m)
		}
		if s := m.Status; s != nil && (len(*s) > statusMax || !utf8.ValidString(*s) || strings.ContainsFunc(*s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x202e })) {
			t.Errorf("status %q", *s)
		}
		// The oracle: whole lines, nothing clever.
		body := strings.TrimSuffix(string(data), "\x00")
		lines := strings.FieldsFunc(body, func(r rune) bool { return r == '\n' || r == '\r' })
		readyLine, barrierLine := false, false
		for _, line := range lines {
			readyLine = readyLine || line == "READY=1"
			barrierLine = barrierLine || line == "BARRIER=1"
		}
		if want := readyLine && !barrierLine && !strings.Contains(body, "\x00"); m.Ready != want {
			t.Errorf("ready %v of %q", m.Ready, data)
		}
	})
}
