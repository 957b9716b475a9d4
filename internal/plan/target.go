package plan

import (
	"regexp"
	"strings"
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
