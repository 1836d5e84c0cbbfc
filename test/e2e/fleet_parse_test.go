//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fleetOnly fails for what is not among the words that the engine's pages have.
func fleetOnly(t *testing.T, got []string, known string) {
	t.Helper()
	for _, name := range got {
		if !slices.Contains(strings.Fields(known), name) {
			t.Errorf("%s is not known", name)
		}
	}
}

// fleetAnsible: one host after the other, and none after one that failed.
func fleetAnsible(t *testing.T, s *fleetSection) {
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		skip(t, "ansible", "it is not installed")
	}
	dir := s.save(t)
	fleetCopy(t, dir, "compose.blue-green.yaml")
	log := filepath.Join(dir, "log")
	fake := "#!/bin/sh\necho \"${PWD##*/} $1\" >>" + log + "\ncase \"$PWD $1\" in *web2\\ bad) exit 1 ;; esac\n"
	write(t, filepath.Join(dir, "deploy.sh"), fake)
	env, calls := fleetFake(t, "docker", "#!/bin/sh\necho \"docker $*\" >>\"$CALLS\"\nexit \"${FAILS:-0}\"\n")
	env = append(env, "HOME="+dir, "ANSIBLE_LOCALHOST_WARNING=False", "ANSIBLE_PYTHON_INTERPRETER=auto_silent", "LC_ALL=C.UTF-8")
	here := " -c local -e 'folder=" + dir + "/at/{{ inventory_hostname }}'"
	release := s.command(t, "ansible-playbook -i hosts.ini -e tag=v2").line
	if r := fleetShell(t, dir, env, release+here); r.Code != 0 || read(log) != "web1 v2\nweb2 v2\nweb3 v2\n" {
		t.Fatalf("%s: %v; the hosts: %q", release, r, read(log))
	}
	write(t, log, "")
	r := fleetShell(t, dir, env, strings.Replace(release, "v2", "bad", 1)+here)
	if r.Code != 2 || read(log) != "web1 bad\nweb2 bad\n" || !strings.Contains(r.Stdout, "failed=1") {
		t.Errorf("a release that fails: %v; the hosts: %q", r, read(log))
	}
	swap := s.command(t, "ansible-playbook -i hosts.ini swap.yml").line
	const called = "docker exec web /swapinit swap\n"
	if r := fleetShell(t, dir, env, swap+here); r.Code != 0 || calls() != strings.Repeat(called, 3) {
		t.Errorf("%s: %v; calls: %q", swap, r, calls())
	}
	if r := fleetShell(t, dir, append(env, "FAILS=1"), swap+here); r.Code != 2 || calls() != strings.Repeat(called, 4) {
		t.Errorf("a swap that fails: %v; calls: %q", r, calls())
	}
}

// fleetNomad reads the job with HashiCorp's parser, which test/hcl has.
func fleetNomad(t *testing.T, s *fleetSection) {
	cmd := exec.CommandContext(t.Context(), "go", "-C", "../hcl", "mod", "download")
	if out, err := cmd.CombinedOutput(); err != nil {
		skip(t, "hcl", "its module cannot be fetched: %s", out)
	}
	parse := func(text string) dockerResult {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", "-C", "../hcl", "run", ".")
		cmd.Stdin = strings.NewReader(text)
		return dockerCommand(t, cmd)
	}
	job := s.files["web.nomad.hcl"]
	r := parse(job)
	if r.Code != 0 {
		t.Fatalf("%v", r)
	}
	var names []string
	for line := range strings.Lines(r.Stdout) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.Contains(name, ".env.") {
			names = append(names, name[strings.LastIndex(name, ".")+1:])
		}
	}
	fleetOnly(t, names, "job type group network port static task driver kill_timeout config image ports env "+
		"template destination data splay change_mode change_script command args timeout fail_on_error")
	const at = "job.group.task.template."
	inOrder(t, r.Stdout, at+`change_mode = "script"`, at+`change_script.args = ["swap"]`, at+`change_script.command = "/swapinit"`,
		at+"change_script.fail_on_error = false", at+"change_script.timeout")
	if r := parse(strings.TrimSuffix(job, "}\n")); r.Code == 0 {
		t.Error("a job without its end is accepted: the test has gone blind")
	}
}

// fleetQuadlet reads the unit.
func fleetQuadlet(t *testing.T, s *fleetSection) {
	known := map[string]string{
		"Unit": "Description",
		"Container": "ContainerName Image PublishPort Volume Environment Notify " +
			"ReloadCmd StopTimeout",
		"Service": "Restart TimeoutStartSec TimeoutStopSec",
		"Install": "WantedBy",
	}
	section, seen := "", map[string]string{}
	for line := range strings.Lines(s.files["web.container"]) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || known[section] == "" {
			t.Errorf("[%s]: %q is no setting", section, line)
		}
		fleetOnly(t, []string{key}, known[section])
		seen[key] = value
	}
	if seen["ReloadCmd"] != "/swapinit swap" || seen["Notify"] != "true" || seen["Image"] == "" {
		t.Errorf("the unit has %q", seen)
	}
}

// fleetKamal reads the configuration.
func fleetKamal(t *testing.T, s *fleetSection) {
	python := exec.CommandContext(t.Context(), "python3", "-c", "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)")
	if err := exec.Command("python3", "-c", "import yaml").Run(); err != nil {
		skip(t, "yaml", "python3-yaml is not installed")
	}
	python.Stdin, python.Stderr = strings.NewReader(s.files["config/deploy.yml"]), os.Stderr
	out, err := python.Output()
	var c struct {
		Servers     map[string]map[string]any
		Accessories map[string]map[string]any
		Boot        map[string]any
	}
	all := map[string]any{}
	if err != nil || json.Unmarshal(out, &c) != nil || json.Unmarshal(out, &all) != nil {
		t.Fatalf("%v: %s", err, out)
	}
	keys := func(m map[string]any) (names []string) {
		for name := range m {
			names = append(names, name)
		}
		return names
	}
	fleetOnly(t, keys(all), "service image servers volumes accessories boot deploy_timeout registry builder")
	fleetOnly(t, keys(c.Servers["web"]), "hosts proxy cmd stop_timeout options env")
	fleetOnly(t, keys(c.Accessories["gate"]), "image roles network env volumes")
	if c.Servers["web"]["proxy"] != false || c.Boot["limit"] != 1.0 {
		t.Errorf("proxy %v, limit %v", c.Servers["web"]["proxy"], c.Boot["limit"])
	}
}
