# SPDX-License-Identifier: Apache-2.0
def again(units, leaf):
    """See truth_again_a.py."""




    leaf(units)  #> thrown_away:leaf_of_b
    leaf(units)  #> thrown_away:leaf_of_b
