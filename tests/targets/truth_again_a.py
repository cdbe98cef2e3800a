# SPDX-License-Identifier: Apache-2.0
def again(units, leaf):
    leaf(units)  #> thrown_away:leaf_of_a
    leaf(units)  #> thrown_away:leaf_of_a
    """This and truth_again_b.py are compiled as the same file: the same name on the same line, and other lines below."""
