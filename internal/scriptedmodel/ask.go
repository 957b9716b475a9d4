package scriptedmodel

import (
	"encoding/json"
	"errors"
	"strings"
)

// ask is what matters of a request, in either protocol.
type ask struct {
	Model    string `json:"model"`
	Stream   bool   `json:"stream"`
	Messages []struct {
		Content json.RawMessage `json:"content"`
	} `json:"messages"`

	last string // text of the last message
}

func readAsk(body []byte) (ask, error) {
	var a ask
	if err := json.Unmarshal(body, &a); err != nil {
		return ask{}, err
	}
	if a.Model == "" || len(a.Messages) == 0 {
		return ask{}, errors.New("it needs a model and messages")
	}
	a.last = textIn(a.Messages[len(a.Messages)-1].Content)
	return a, nil
}

// textIn finds the text of a message's content: a string, or blocks that have one or have a content again.
func textIn(content json.RawMessage) string {
	var s string
	if json.Unmarshal(content, &s) == nil {
		return s
	}
	var blocks []struct {
		Text    string          `json:"text"`
		Content json.RawMessage `json:"content"`
	}
	if json.Unmarshal(content, &blocks) != nil {
		return ""
	}
	var all []string
	for _, b := range blocks {
		if text := b.Text + textIn(b.Content); text != "" {
			all = append(all, text)
		}
	}
	return strings.Join(all, "\n")
}
