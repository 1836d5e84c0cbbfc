//go:build race

package reaper

const raceEnabled = true
