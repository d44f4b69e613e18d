package main

import (
	"path/filepath"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/statistics"
)

// StatisticsSettings are what the statistics pages' own database may take.
type StatisticsSettings struct {
	// Whether there are statistics pages: on or off. Default: on
	Pages bool `yaml:"pages"`

	// How much memory the database may take; its process has some 100MB besides. Default: 1GiB
	Memory Size `yaml:"memory"`

	// How much it may put aside on the disk for a question that needs more. Default: 20GiB
	Temp Size `yaml:"temp"`

	// How many threads it works with. Default: 2
	Threads int `yaml:"threads"`
}

// defaultStatistics is what holds where nothing is said.
var defaultStatistics = StatisticsSettings{Pages: true, Memory: statistics.DefaultMemory, Temp: statistics.DefaultTemp, Threads: statistics.DefaultThreads}

func (s *StatisticsSettings) check(n *notes) {
	if s.Memory < 128<<20 {
		n.problem("statistics.memory", "must be at least 128MiB")
	}
	if s.Temp < 0 {
		n.problem("statistics.temp", "must not be negative")
	}
	if s.Threads < 1 || s.Threads > 256 {
		n.problem("statistics.threads", "must be from 1 to 256")
	}
}

// statistics is how the database of the data directory is opened.
func (c *Config) statistics(metering *bucket.Bucket) statistics.Options {
	s := &c.Statistics
	return statistics.Options{Folder: c.statisticsDir(), Metering: metering, Memory: int64(s.Memory), Temp: int64(s.Temp), Threads: s.Threads}
}

func (c *Config) statisticsDir() string { return filepath.Join(c.DataDir, "statistics") }
