package plan

import (
	"regexp"
	"strings"

	"belay/internal/expr"
	"belay/internal/steps"
)

// Targets are shown to people and stored with every run. Secrets belong into environment variables of the worker, but
// one that somebody wrote into a tools file must not travel any further.
var (
	userInfo   = regexp.MustCompile(`^(https?://)[^/?#]*@`)
	secretPair = regexp.MustCompile(`(?i)([?&;]|^-{0,2})([\w.-]*(?:key|token|secret|passw|signature|credential|auth)[\w.-]*)=[^&;#]+`)
	secretFlag = regexp.MustCompile(`(?i)^--?[\w-]*(?:key|token|secret|passw|credential|auth)[\w-]*$`)
)

const hidden = "***"

// withoutSecrets hides what a URL or an argument may hold of secrets.
func withoutSecrets(s string) string {
	s = userInfo.ReplaceAllString(s, "${1}"+hidden+"@")
	return secretPair.ReplaceAllString(s, "${1}${2}="+hidden)
}

// commandLine shows an argv as people would type it.
func commandLine(argv []string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		switch {
		case i > 0 && secretFlag.MatchString(argv[i-1]):
			words[i] = hidden
		case word == "" || strings.ContainsAny(word, " \t\n\"'$`\\"):
			words[i] = "'" + withoutSecrets(word) + "'"
		default:
			words[i] = withoutSecrets(word)
		}
	}
	return strings.Join(words, " ")
}

// compileTargets compiles what rungs talk to, by their place in the ladder.
func compileTargets(rungs []steps.Rung) map[int]steps.Expr {
	var targets map[int]steps.Expr
	for k := range rungs {
		target := compileTarget(&rungs[k])
		if target == nil {
			continue
		}
		if targets == nil {
			targets = map[int]steps.Expr{}
		}
		targets[k] = target
	}
	return targets
}

// compileTarget gives nil for a target that does not depend on the parameters. It is for people, and never keeps a run
// from being compiled: one that hiding a secret has broken is shown as it is.
func compileTarget(r *steps.Rung) steps.Expr {
	if !strings.Contains(r.Target, "${") {
		return nil
	}
	text, faults := expr.CompileText(r.Target, inTools, inTarget(r.Executor))
	if len(faults) > 0 {
		return nil
	}
	return text.Expr()
}

// inTarget is how a value is put into the target of an executor: the way the executor does it.
func inTarget(executor string) func(string) (string, error) {
	switch executor {
	case "http":
		return expr.EncodeSegment
	case "command":
		return encodeWord
	case "nats":
		return encodeToken
	}
	return nil
}

// encodeWord puts a value into a word of a command line; [commandLine] has put quotes around it.
func encodeWord(s string) (string, error) {
	return strings.ReplaceAll(withoutSecrets(s), "'", `'\''`), nil
}
