package dispatcher

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"belay/internal/cli"
	"belay/internal/drill"
	"belay/internal/plan"
	"belay/internal/sim"
	"belay/internal/steps"
)

const storySuffix = ".story.yaml"

func isStory(path string) bool { return strings.HasSuffix(path, storySuffix) }

// writeStoryOf writes the worst play of a cell as a story.
func writeStoryOf(d *drill.Drill, c *drill.Cell, path string) error {
	s, err := d.Story(c)
	if err != nil {
		return cli.WithCode(cli.ExitUsage, err)
	}
	s.Plan, s.Tools = from(path, s.Plan), from(path, s.Tools)
	return writeStory(s, path)
}

func writeStory(s *drill.Story, path string) error {
	if !isStory(path) {
		return cli.Usage("--story %s: the name of a story ends in %s, so that drill knows it", path, storySuffix)
	}
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		return fmt.Errorf("--story: %w", err)
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// from is a file as it is named in a story.
func from(story, file string) string {
	a, err := filepath.Abs(filepath.Dir(story))
	if err != nil {
		return file
	}
	b, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	if rel, err := filepath.Rel(a, b); err == nil {
		return filepath.ToSlash(rel)
	}
	return file
}

// ended is what drill says of a story.
type ended struct {
	File     string         `json:"file"`
	Ends     string         `json:"ends"`     // state of the run
	Degraded []string       `json:"degraded"` // step.rung
	Asked    []string       `json:"asked"`    // `unknown of refund`, the first one first
	Effects  map[string]int `json:"effects"`  // by tool
	Took     float64        `json:"took"`     // seconds of work
	Wrong    []string       `json:"wrong"`    // what is not as expected, or must never be
	Lines    []storyLine    `json:"lines"`    // what happened
}

type storyLine struct {
	At   float64 `json:"at"` // seconds since the submission
	Who  string  `json:"who"`
	Text string  `json:"text"`
}

func endedOf(path string, e *drill.Ending) ended {
	got := e.Expect()
	out := ended{path, string(got.Ends), got.Degraded, got.Asked, got.Effects, got.Within.Seconds(), append([]string{}, e.Wrong...), []storyLine{}}
	for _, l := range e.Lines {
		out.Lines = append(out.Lines, storyLine{l.At.Sub(sim.Start).Seconds(), l.Who, l.Text})
	}
	return out
}

// tellStories plays stories.
func (a *app) tellStories(paths []string) error {
	list := []ended{}
	failed := 0
	for _, path := range paths {
		if !isStory(path) {
			return cli.Usage("%s is not a story: their names end in %s", path, storySuffix)
		}
		t, err := a.tellStory(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, t)
		if len(t.Wrong) > 0 {
			failed++
		}
	}
	if a.JSON() {
		if err := a.PrintJSON(list); err != nil {
			return err
		}
	}
	if failed > 0 {
		return cli.WithCode(cli.ExitUnexpected, fmt.Errorf("%d of %d stories do not end as they should", failed, len(list)))
	}
	return nil
}

func (a *app) tellStory(path string) (ended, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return ended{}, err
	}
	s, err := drill.ParseStory(data)
	if err != nil {
		return ended{}, cli.WithCode(cli.ExitInvalid, err)
	}
	d, err := drillOf(path, s)
	if err != nil {
		return ended{}, err
	}
	played, err := d.Tell(s)
	if err != nil {
		return ended{}, cli.WithCode(cli.ExitInvalid, err)
	}
	t := endedOf(path, played)
	if a.JSON() {
		return t, nil
	}
	if len(t.Wrong) == 0 {
		fmt.Fprintf(a.Out, "ok    %s: %s\n", path, t.Ends)
		return t, nil
	}
	fmt.Fprintf(a.Out, "FAIL  %s: %s\n", path, strings.Join(t.Wrong, "; "))
	drill.Lines(a.Out, played.Lines)
	return t, nil
}

// drillOf prepares the drill of a story. Its files are named from its own folder.
func drillOf(path string, s *drill.Story) (*drill.Drill, error) {
	beside := func(file string) string {
		if filepath.IsAbs(file) {
			return file
		}
		return filepath.Join(filepath.Dir(path), file)
	}
	tools := s.Tools
	if tools == "" {
		tools = plan.FindTools(s.Plan)
	}
	doc, file, err := loadPlan(beside(s.Plan), beside(tools))
	if err != nil {
		return nil, err
	}
	given := map[string]json.RawMessage{}
	for name, v := range s.Input {
		if given[name], err = json.Marshal(v); err != nil {
			return nil, cli.WithCode(cli.ExitInvalid, fmt.Errorf("input %s: %w", name, err))
		}
	}
	input, err := doc.CheckInput(given)
	if err != nil {
		return nil, cli.WithCode(cli.ExitInvalid, err)
	}
	d := &drill.Drill{Doc: doc, Tools: file, Input: input}
	if d.Outputs, err = encoded(s.Outputs); err != nil {
		return nil, cli.WithCode(cli.ExitInvalid, err)
	}
	if err := d.Prepare(); err != nil {
		return nil, cli.WithCode(cli.ExitInvalid, err)
	}
	return d, nil
}

// exportStory writes what happened to a run as a story beside its plan.
func exportStory(s *steps.State, planPath, path string) error {
	tools := s.ToolsFile
	if tools == "" {
		tools = plan.FindTools(planPath)
	}
	story, err := drill.StoryOfRun(s, from(path, planPath), from(path, tools))
	if err != nil {
		return cli.WithCode(cli.ExitInvalid, err)
	}
	return writeStory(story, path)
}
