"""What the sparse operations are: one file per family."""

from symsparse.ops.arithmetic import *
from symsparse.ops.comparison import *
from symsparse.ops.conversion import *
from symsparse.ops.csm import *
from symsparse.ops.elementwise import *
from symsparse.ops.indexing import *
from symsparse.ops.layout import *
from symsparse.ops.matmul import *
from symsparse.ops.reduction import *
from symsparse.ops.sample import *
