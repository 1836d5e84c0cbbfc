package config

import (
	"reflect"
	"testing"
)

// Processes beside the server: a variable each, in the order of their names.
func TestSides(t *testing.T) {
	s := mustLoad(t, []string{
		`SWAPINIT_SIDE_logs=vector --config '/etc/my vector.toml'`, "SWAPINIT_SIDE_CRON=cron -f", "SWAPINIT_SIDE_Php_8=php-fpm8.3 -F", "SWAPINIT_SIDE_OFF=",
		`SWAPINIT_SIDE_9=awk {print} "\{fd.x}" {generation}`, "swapinit_side_x=1",
	}, []string{"x"})
	want := []Side{
		{"9", []string{"awk", "{print}", `\{fd.x}`, "{generation}"}},
		{"cron", []string{"cron", "-f"}},
		{"php_8", []string{"php-fpm8.3", "-F"}},
		{"logs", []string{"vector", "--config", "/etc/my vector.toml"}},
	}
	if !reflect.DeepEqual(s.Sides, want) {
		t.Errorf("got  %q\nwant %q", s.Sides, want)
	}
}

func TestSidesAreParsedStrictly(t *testing.T) {
	gate := testParsers()
	gate.Gate = true
	for _, c := range []struct {
		environ []string
		p       Parsers
		want    []string
	}{
		{[]string{"SWAPINIT_SIDE_A= \t"}, testParsers(), []string{`SWAPINIT_SIDE_A=" \t": no command in it; want a command as shell-like words`}},
		{[]string{"SWAPINIT_SIDE_A=sh -c 'x"}, testParsers(), []string{"SWAPINIT_SIDE_A=", "unclosed single quote"}},
		{[]string{"SWAPINIT_SIDE_A=nc {fd.web}"}, testParsers(), []string{"SWAPINIT_SIDE_A=", "it gets no sockets", `"{fd.web}"`}},
		{[]string{"SWAPINIT_SIDE_=x"}, testParsers(), []string{`SWAPINIT_SIDE_="x": no name`, "want a name of letters, digits and _"}},
		{[]string{"SWAPINIT_SIDE_a-b="}, testParsers(), []string{"SWAPINIT_SIDE_a-b", "want a name of letters"}},
		{[]string{"SWAPINIT_SIDE_é=x"}, testParsers(), []string{"want a name of letters"}},
		{[]string{"SWAPINIT_SIDE_a\n=x"}, testParsers(), []string{"want a name of letters"}},
		{[]string{"SWAPINIT_SIDE_CRON=a", "SWAPINIT_SIDE_cron=b"}, testParsers(), []string{`SWAPINIT_SIDE_cron="b"`, "differs from it in upper and lower case only"}},
		{[]string{"SWAPINIT_SIDE=cron"}, testParsers(), []string{"did you mean SWAPINIT_SIDE_<NAME>?"}},
		{[]string{"SWAPINIT_SIDES_CRON=cron"}, testParsers(), []string{"did you mean SWAPINIT_SIDE_CRON?"}},
		{[]string{"SWAPINIT_SDIE_LOGS=x"}, testParsers(), []string{"did you mean SWAPINIT_SIDE_LOGS?"}},
		{[]string{"SWAPINIT_LISTEN=:80", "SWAPINIT_SIDE_CRON=cron -f"}, gate, []string{`SWAPINIT_SIDE_CRON="cron -f": a gate starts nothing`}},
	} {
		args := []string{"x"}
		if c.p.Gate {
			args = nil
		}
		_, err := Load(c.environ, args, c.p)
		wantError(t, err, c.want...)
	}
}
