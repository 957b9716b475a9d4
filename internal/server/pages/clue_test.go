package pages

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClue(t *testing.T) {
	t.Parallel()
	const message = "POST https://parcels.example.com/parcels: 422 Unprocessable Entity"
	for name, c := range map[string]struct{ answer, want string }{
		"message":              {`{"message":"zip \"1019\" must have five digits"}`, `zip "1019" must have five digits`},
		"error":                {`{"error":"no such order"}`, "no such order"},
		"error and message":    {`{"error":"Bad Request","message":"amount is too high","statusCode":400}`, "amount is too high"},
		"error with its field": {`{"error":"invalid","field":"to.zip"}`, "to.zip: invalid"},
		"its field is named":   {`{"field":"to.zip","message":"zip \"1019\" must have five digits"}`, `zip "1019" must have five digits`},
		"nested":               {`{"error":{"code":402,"message":"the card has expired","status":"FAILED"}}`, "the card has expired"},
		"OAuth":                {`{"error":"invalid_grant","error_description":"the code is used up"}`, "the code is used up"},
		"problem":              {`{"type":"about:blank","title":"Unprocessable","status":422,"detail":"zip \"1019\" must have five digits"}`, `zip "1019" must have five digits`},
		"problem, title alone": {`{"type":"about:blank","title":"the shop is closed","status":503}`, "the shop is closed"},
		"errors":               {`{"errors":[{"message":"zip must have five digits"},{"message":"two"}]}`, "zip must have five digits"},
		"texts":                {`{"errors":["zip must have five digits","two"]}`, "zip must have five digits"},
		"errors and message":   {`{"message":"Validation failed.","errors":[{"field":"zip","message":"must have five digits"}]}`, "Validation failed: zip: must have five digits"},
		"errors by field":      {`{"message":"The data is invalid","errors":{"zip":["must have 5 digits"]}}`, "The data is invalid: zip: must have 5 digits"},
		"errors by two fields": {`{"errors":{"zip":["is short"],"city":["is missing"]}}`, "city: is missing"},
		"FastAPI":              {`{"detail":[{"loc":["body","zip"],"msg":"field required","type":"missing"}]}`, "body.zip: field required"},
		"JSON:API":             {`{"errors":[{"status":"422","source":{"pointer":"/data/zip"},"detail":"is too short"}]}`, "/data/zip: is too short"},
		"a list":               {`[{"message":"not today"}]`, "not today"},
		"cut off":              {`{"message":"zip must have five digits","trace":["a","b`, "zip must have five digits"},
		"cut off inside":       {`{"error":{"message":"zip must have five digits","more":{"x":[1,2`, "zip must have five digits"},
		"numbers alone":        {`{"status":422}`, ""},
		"nothing known":        {`{"ok":false}`, ""},
		"HTML":                 {"<!DOCTYPE html>\n<html><head><title>Down &amp; out until 5</title></head><body><h1>Sorry</h1>", "Down & out until 5"},
		"HTML, the same again": {`<html><head><title>422 Unprocessable Entity</title></head>`, ""},
		"XML":                  {`<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>The key is gone.</Message></Error>`, "The key is gone."},
		"a sentence":           {"the order is locked\n", "the order is locked"},
		"last line":            {"reading a.csv\nwriting b.csv\ncannot write b.csv: the disk is full\n\n", "cannot write b.csv: the disk is full"},
		"Python":               {"Traceback (most recent call last):\n  File \"x.py\", line 3, in <module>\n    f()\nValueError: zip must have five digits", "ValueError: zip must have five digits"},
		"Node":                 {"Error: zip must have five digits\n    at ship (/app/ship.js:3:9)\n    at main\n\nNode.js v18.19.0", "Error: zip must have five digits"},
		"a log line":           {`2026 start` + "\n" + `{"level":"error","msg":"zip must have five digits"}`, "zip must have five digits"},
		"output and stderr":    {"{\"a\":1}\nstderr: no more paper", "no more paper"},
		"nothing":              {" \n", ""},
		"what is said already": {`{"message":"422 Unprocessable Entity"}`, ""},
	} {
		if got := clue(message, c.answer); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestAClueIsShort(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		`{"message":"` + strings.Repeat("é", 5000) + `"}`, strings.Repeat("é ", 40000), strings.Repeat(`{"error":`, 3000), strings.Repeat("[", 20000), strings.Repeat("<title>", 9000),
	} {
		if got := clue("", answer); utf8.RuneCountInString(got) > clueSize {
			t.Errorf("%d characters of %.20q", utf8.RuneCountInString(got), answer)
		}
	}
	if got := clue("", "a\nb\t c"); got != "b c" {
		t.Errorf("%q", got)
	}
}
