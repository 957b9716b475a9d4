package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

// CheckInput makes the input of a run: the plan's defaults with the given values over them. It reports all that is
// wrong with it: names that the plan does not know, values of another type than their default, and what the input
// schema says.
func (d *Document) CheckInput(given map[string]json.RawMessage) (json.RawMessage, error) {
	defaults := d.defaults()
	merged := maps.Clone(defaults)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		v, err := d.checkValue(name, given[name], defaults)
		if err != nil {
			errs = append(errs, fmt.Errorf("input %q: %w", name, err))
			continue
		}
		merged[name] = v
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	raw, err := expr.Canonical(merged)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	if err := steps.CheckDepth(raw); err != nil {
		return nil, fmt.Errorf("the input: %w", err)
	}
	return raw, d.checkWhole(raw)
}

func (d *Document) checkWhole(input json.RawMessage) error {
	if len(input) > steps.MaxSubmitted {
		return fmt.Errorf("the input takes %d bytes; at most %d are allowed", len(input), steps.MaxSubmitted)
	}
	if d.checkInput == nil {
		return nil
	}
	err := d.checkInput(input)
	if err == nil {
		return nil
	}
	var errs []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		errs = append(errs, fmt.Errorf("input %s", line))
	}
	return errors.Join(errs...)
}

func (d *Document) checkValue(name string, raw json.RawMessage, defaults map[string]any) (any, error) {
	if err := d.checkName(name, defaults); err != nil {
		return nil, err
	}
	v, err := decodeExact(raw)
	if err != nil {
		return nil, err
	}
	byDefault, ok := defaults[name]
	if want := expr.Describe(byDefault); ok && byDefault != nil && expr.Describe(v) != want {
		return nil, fmt.Errorf("must be %s like its default, not %s", want, expr.Describe(v))
	}
	return v, nil
}

// checkName refuses unknown names, which are typing mistakes. A plan that declares no input takes any.
func (d *Document) checkName(name string, defaults map[string]any) error {
	known := d.inputNames(defaults)
	if d.Definition.Plan.Input == nil || slices.Contains(known, name) {
		return nil
	}
	hint := yamldoc.OneOf(name, known)
	if hint == "" {
		return errors.New("the plan takes no input")
	}
	return fmt.Errorf("the plan has no such input (%s)", hint)
}

// inputNames are the names of the defaults and of the input schema's properties.
func (d *Document) inputNames(defaults map[string]any) []string {
	known := slices.AppendSeq([]string{}, maps.Keys(defaults))
	schema, _ := steps.Decode(d.Definition.Plan.InputSchema).(map[string]any)
	properties, _ := schema["properties"].(map[string]any)
	return slices.AppendSeq(known, maps.Keys(properties))
}

func (d *Document) defaults() map[string]any {
	if m, ok := steps.Decode(d.Definition.Plan.Input).(map[string]any); ok {
		return m
	}
	return map[string]any{}
}

// ParseInput reads the value of `--input name=text`. It takes the type of the plan's default; without one, text is
// JSON where it is JSON, else a string. Numbers keep their text.
func (d *Document) ParseInput(name, text string) (json.RawMessage, error) {
	defaults := d.defaults()
	if err := d.checkName(name, defaults); err != nil {
		return nil, fmt.Errorf("input %q: %w", name, err)
	}
	byDefault := defaults[name]
	if _, ok := byDefault.(string); ok {
		return expr.AppendString(nil, text), nil
	}
	v, err := decodeExact(json.RawMessage(text))
	if _, deep := errors.AsType[steps.TooDeep](err); deep {
		return nil, fmt.Errorf("input %q: %w", name, err)
	}
	if byDefault == nil && err == nil {
		return expr.Canonical(v)
	}
	if byDefault == nil {
		return expr.AppendString(nil, text), nil //nolint:nilerr // what is not JSON is a string
	}
	if want := expr.Describe(byDefault); err != nil || expr.Describe(v) != want {
		return nil, fmt.Errorf("input %q: %q is not %s, which its default is", name, yamldoc.Shorten(text), want)
	}
	return expr.Canonical(v)
}
