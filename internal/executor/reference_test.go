package executor

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"belay/internal/steps"
)

// statusRow is a row of the table of statuses in docs/faults.md: some statuses, or all from the first to the last.
type statusRow struct {
	statuses []int
	span     bool
	class    steps.Class
	acted    steps.Acted
}

func (r statusRow) has(status int) bool {
	if r.span {
		return status >= r.statuses[0] && status <= r.statuses[1]
	}
	for _, s := range r.statuses {
		if s == status {
			return true
		}
	}
	return false
}

var statusCode = regexp.MustCompile("`([0-9]{3})`")

func statusRows(t *testing.T) (rows []statusRow) {
	t.Helper()
	page, err := os.ReadFile("../../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n| status |")
	for line := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(line, "|")
		codes := statusCode.FindAllStringSubmatch(line, -1)
		switch {
		case len(cells) < 4 && len(rows) > 0:
			return rows
		case codes != nil:
			row := statusRow{span: strings.Contains(cells[1], " to "), class: steps.Class(strings.Trim(cells[2], " `")), acted: steps.Acted(strings.TrimSpace(cells[3]))}
			for _, code := range codes {
				status, _ := strconv.Atoi(code[1])
				row.statuses = append(row.statuses, status)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// TestReferenceOfStatuses: of every status that is not a success the page says class and whether it may have acted.
func TestReferenceOfStatuses(t *testing.T) {
	t.Parallel()
	rows := statusRows(t)
	for status := 300; status < 600; status++ {
		class, acted := OfStatus(status)
		found := false
		for _, row := range rows {
			if found = row.has(status); found {
				if row.class != class || row.acted != acted {
					t.Errorf("docs/faults.md: the status %d is %s, acted %s; the page says %s, %s", status, class, acted, row.class, row.acted)
				}
				break
			}
		}
		if !found {
			t.Errorf("docs/faults.md does not say what the status %d is", status)
		}
	}
}

var plugInBlock = regexp.MustCompile("(?ms)^```go plugin file=(\\w+)\\.go\n(.*?)^```")

// TestReferencePlugIn executes the test of the executor in docs/executors.md, as if both stood in a folder of their own.
func TestReferencePlugIn(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the compiler takes its time")
	}
	page, err := os.ReadFile("../../docs/executors.md")
	if err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs("fileexec")
	if err != nil {
		t.Fatal(err)
	}
	dir, overlay := t.TempDir(), map[string]map[string]string{"Replace": {}}
	for _, block := range plugInBlock.FindAllStringSubmatch(string(page), -1) {
		file := filepath.Join(dir, block[1]+".go")
		overlay["Replace"][filepath.Join(here, block[1]+".go")] = file
		if err := os.WriteFile(file, []byte(block[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(overlay["Replace"]) != 2 {
		t.Fatalf("the page has %d files of a plug-in, want it and its test", len(overlay["Replace"]))
	}
	raw, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "fileexec.test")
	out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", list, "-o", program, "./fileexec").CombinedOutput()
	if err != nil {
		t.Fatalf("the executor of docs/executors.md does not compile: %v\n%s", err, out)
	}
	test := exec.CommandContext(t.Context(), program, "-test.v")
	test.Dir = dir
	if out, err = test.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: TestConformance/unusable_answers") {
		t.Errorf("the executor of docs/executors.md fails its test: %v\n%s", err, out)
	}
}
