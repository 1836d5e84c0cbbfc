package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// maxStages is far more than anybody waits for, and bounds a client's text.
const maxStages = 100

// Stage is one step of a canary: for so long the successor gets this share of
// the new connections.
type Stage struct {
	Share int           // 1/10000, from 1 to 9999
	For   time.Duration // at least 1ms, at most MaxDuration
}

// ParseStages reads the value of SWAPINIT_CANARY, such as "1%/10s,25%/30s"; "off" is no
// stage, and an empty list that is not nil. The shares need not grow, and a stage may be
// there twice. The error is one line that says what is wrong and not what is accepted.
func ParseStages(s string) ([]Stage, error) {
	if s == "off" {
		return []Stage{}, nil
	}
	words := list(s)
	if len(words) == 0 {
		return nil, errors.New("no stage in it")
	}
	if len(words) > maxStages {
		return nil, errors.New(strconv.Itoa(len(words)) + " stages in it")
	}
	var out []Stage
	for _, word := range words {
		stage, problem := parseStage(word)
		if problem != "" {
			return nil, errors.New(problem + " in " + quote(word))
		}
		out = append(out, stage)
	}
	return out, nil
}

// parseStage reads SHARE/DURATION; problem is "" when there is none.
func parseStage(word string) (stage Stage, problem string) {
	share, length, ok := strings.Cut(word, "/")
	if !ok || length == "" {
		return stage, "no /DURATION"
	}
	share, ok = strings.CutSuffix(share, "%")
	if !ok {
		return stage, "no % before the /"
	}
	if stage.Share = hundredths(share); stage.Share < 1 {
		return stage, "a share that is not from 0.01% to 99.99%"
	}
	d, err := duration(length)
	if err != nil {
		return stage, "a duration that cannot be used (" + err.Error() + ")"
	}
	if stage.For = d; d == 0 {
		return stage, "a duration of 0"
	}
	return stage, ""
}

// hundredths reads a number with one or two digits, and perhaps one or two
// more after a point, so at most 9999. It is -1 for anything else.
func hundredths(s string) int {
	whole, part, point := strings.Cut(s, ".")
	if len(whole) < 1 || len(whole) > 2 || point && part == "" || len(part) > 2 {
		return -1
	}
	for len(part) < 2 {
		part += "0"
	}
	n, err := strconv.ParseUint(whole+part, 10, 16)
	if err != nil {
		return -1
	}
	return int(n)
}
