package prove

import (
	"path/filepath"
	"strings"
)

// SARIF is a log in the Static Analysis Results Interchange Format 2.1.0, with what code scanning reads of it.
type SARIF struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool    sarifTool     `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID      string    `json:"id"`
	Short   sarifText `json:"shortDescription"`
	Full    sarifText `json:"fullDescription"`
	Help    sarifText `json:"help"`
	Default struct {
		Level Severity `json:"level"`
	} `json:"defaultConfiguration"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID       string             `json:"ruleId"`
	RuleIndex    int                `json:"ruleIndex"`
	Level        Severity           `json:"level"`
	Message      sarifText          `json:"message"`
	Locations    []sarifLocation    `json:"locations"`
	CodeFlows    []sarifCodeFlow    `json:"codeFlows,omitempty"`
	Prints       map[string]string  `json:"partialFingerprints"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Justification string `json:"justification"`
}

type sarifLocation struct {
	Physical sarifPhysical `json:"physicalLocation"`
	Message  *sarifText    `json:"message,omitempty"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   sarifRegion   `json:"region"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	Line int `json:"startLine"`
	Col  int `json:"startColumn"`
}

type sarifCodeFlow struct {
	Threads []sarifThread `json:"threadFlows"`
}

type sarifThread struct {
	Locations []sarifStage `json:"locations"`
}

type sarifStage struct {
	Location sarifLocation `json:"location"`
}

// AsSARIF puts reports into one log. Version is that of the program.
func AsSARIF(reports []*Report, version string) *SARIF {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "belay prove", Version: version}}, Results: []sarifResult{}}
	index := map[string]int{}
	for i, e := range Entries {
		rule := sarifRule{ID: e.Code, Short: sarifText{e.Title}, Full: sarifText{e.Why}, Help: sarifText{"Fix: " + e.Fix + "\nThe manual: " + pageOf(e.Code)}}
		rule.Default.Level = e.Severity
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule)
		index[e.Code] = i
	}
	seen := map[string]bool{}
	for _, r := range reports {
		for i := range r.Findings {
			f := &r.Findings[i]
			if key := f.Print + f.File; !seen[key] {
				seen[key] = true
				run.Results = append(run.Results, resultOf(f, index[f.Code]))
			}
		}
	}
	return &SARIF{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}
}

func resultOf(f *Finding, rule int) sarifResult {
	at := sarifPhysical{sarifArtifact{uri(f.File)}, sarifRegion{max(f.Line, 1), max(f.Col, 1)}}
	r := sarifResult{
		RuleID: f.Code, RuleIndex: rule, Level: f.Severity, Message: sarifText{f.Message + ". Fix: " + f.Fix},
		Locations: []sarifLocation{{Physical: at}}, Prints: map[string]string{"belayFinding/v1": f.Print},
	}
	if len(f.Witness) > 0 {
		var thread sarifThread
		for _, stage := range f.Witness {
			thread.Locations = append(thread.Locations, sarifStage{sarifLocation{Physical: at, Message: &sarifText{stage}}})
		}
		r.CodeFlows = []sarifCodeFlow{{[]sarifThread{thread}}}
	}
	if f.Waiver != nil {
		r.Suppressions = []sarifSuppression{{"inSource", f.Waiver.Reason + " (until " + f.Waiver.lastDay() + ")"}}
	}
	return r
}

// uri is a file as a relative reference, as code scanning wants it.
func uri(file string) string {
	return strings.TrimPrefix(filepath.ToSlash(filepath.Clean(file)), "./")
}
