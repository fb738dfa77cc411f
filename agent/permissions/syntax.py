"""The node kinds of tree-sitter-bash 0.25, sorted by what they mean for permissions."""

from __future__ import annotations

# Node kinds of plain commands. What is not here and not in OTHER is unknown syntax.
# fmt: off
PLAIN = frozenset({
    "program", "list", "pipeline", "command", "command_name", "word", "number", "string", "string_content",
    "raw_string", "concatenation", "redirected_statement", "file_redirect", "file_descriptor",
    "heredoc_redirect", "heredoc_start", "heredoc_body", "heredoc_content", "heredoc_end",
    "herestring_redirect", "negated_command", "comment", "subshell", "compound_statement", "if_statement",
    "elif_clause", "else_clause", "variable_assignment", "variable_name", "command_substitution",
    "test_command", "unary_expression", "binary_expression", "test_operator", "parenthesized_expression",
})
# fmt: on
OTHER = {
    "simple_expansion": "a variable",
    "expansion": "a variable",
    "special_variable_name": "a variable",
    "arithmetic_expansion": "arithmetic",
    "brace_expression": "a brace expansion",
    "process_substitution": "a process substitution",
    "translated_string": "a translated string",
    "ansi_c_string": "an escaped string",
    "for_statement": "a loop",
    "c_style_for_statement": "a loop",
    "while_statement": "a loop",
    "do_group": "a loop",
    "case_statement": "a case",
    "case_item": "a case",
    "function_definition": "a function",
    "declaration_command": "a declaration",
    "unset_command": "unset",
    "array": "an array",
    "subscript": "a subscript",
    "extglob_pattern": "a pattern",
    "regex": "a pattern",
    "ternary_expression": "arithmetic",
    "postfix_expression": "arithmetic",
    "variable_assignments": "assignments",
}
UNSCANNED = frozenset({"raw_string", "comment", "ansi_c_string", "heredoc_start", "heredoc_end"})
COMMANDS = frozenset({"command", "declaration_command", "unset_command", "test_command", "variable_assignment"})
REDIRECTS = frozenset({"file_redirect", "heredoc_redirect", "herestring_redirect"})
NEW_SCOPE = frozenset(
    {"program", "compound_statement", "subshell", "do_group", "if_statement", "elif_clause", "else_clause"}
)
